#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/files/config_json.hpp"
#include "models/files/safetensors.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/sequence_model.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using Named = std::vector<std::pair<std::string, at::Tensor>>;
using Json = nlohmann::json;

/// A directory with a very small BERT, whose config and tensors a test may bend before it is loaded.
class ModelDirectoryTest : public ::testing::Test {
 protected:
  ModelDirectoryTest() {
    fs::create_directories(directory_);
    config_ = {{"model_type", "bert"},    {"architectures", {"BertModel"}}, {"vocab_size", 20},
               {"hidden_size", 8},        {"num_hidden_layers", 1},         {"num_attention_heads", 2},
               {"intermediate_size", 16}, {"max_position_embeddings", 12},  {"type_vocab_size", 2},
               {"hidden_act", "gelu"}};
    head_.labels = {"a", "b", "c"};
    write_config();
    const auto model =
        make_sequence_model(make_bert_backbone(read_bert_config(ConfigJson(directory_)), {}), head_, at::kFloat);
    at::manual_seed(5);
    for (const Parameter& parameter : model->parameters()) {
      tensors_.emplace_back(parameter.spec.name, at::randn(parameter.spec.global_shape));
    }
  }

  void write_config() const { std::ofstream(directory_ / "config.json") << config_.dump(); }

  LoadedModel load(const LoadOptions& options) const {
    write_config();
    write_safetensors(directory_ / "model.safetensors", tensors_, {});
    return load_model(directory_, options);
  }
  LoadOptions with_head() const {
    LoadOptions options;
    options.head = head_;
    return options;
  }
  std::string refusal(const LoadOptions& options) const {
    try {
      load(options);
      return "";
    } catch (const ModelFileError& error) {
      return error.what();
    }
  }
  void rename(const std::string& from, const std::string& to) {
    for (auto& [name, tensor] : tensors_) {
      const auto at = name.find(from);
      if (at != std::string::npos) name.replace(at, from.size(), to);
    }
  }

  fs::path directory_ = fs::path(::testing::TempDir()) / "meshfold_model_directory";
  Json config_;
  HeadConfig head_;
  Named tensors_;
};

#define EXPECT_NAMES(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(ModelDirectoryTest, FindsTheSameWeightsWithAndWithoutPrefixAndUnderOldNormNames) {
  const std::string plain = load(with_head()).model->parameters().hash();

  rename("bert.", "");
  EXPECT_EQ(load(with_head()).model->parameters().hash(), plain);
  rename("LayerNorm.weight", "LayerNorm.gamma");
  rename("LayerNorm.bias", "LayerNorm.beta");
  EXPECT_EQ(load(with_head()).model->parameters().hash(), plain);
}

TEST_F(ModelDirectoryTest, WidensSixteenBitWeights) {
  for (auto& [name, tensor] : tensors_) tensor = tensor.to(at::kBFloat16);

  const LoadedModel loaded = load(with_head());

  EXPECT_TRUE(at::equal(loaded.model->parameters().view(tensors_[0].first).value, tensors_[0].second.to(at::kFloat)));
}

TEST_F(ModelDirectoryTest, ListsPretrainingHeadsAndFreshTensors) {
  std::erase_if(tensors_,
                [](const auto& t) { return t.first.starts_with("classifier") || t.first.starts_with("bert.pooler"); });
  for (const char* name : {"cls.predictions.bias", "cls.seq_relationship.weight", "bert.embeddings.position_ids"}) {
    tensors_.emplace_back(name, at::zeros({2}));
  }

  const LoadReport report = load(with_head()).report;

  EXPECT_EQ(report.left_out, (std::vector<std::string>{"bert.embeddings.position_ids", "cls.predictions.bias",
                                                       "cls.seq_relationship.weight"}));
  EXPECT_EQ(report.initialized, (std::vector<std::string>{"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                                          "classifier.weight", "classifier.bias"}));
}

TEST_F(ModelDirectoryTest, DrawsFreshTensorsFromTheSeedAlone) {
  std::erase_if(tensors_, [](const auto& t) { return t.first.starts_with("classifier"); });
  LoadOptions options = with_head();
  const std::string first = load(options).model->parameters().hash();

  EXPECT_EQ(load(options).model->parameters().hash(), first);
  options.seed = 1;
  EXPECT_NE(load(options).model->parameters().hash(), first);
}

TEST_F(ModelDirectoryTest, RefusesMissingExtraTwofoldAndMisshapenTensorsByName) {
  const Named whole = tensors_;
  std::erase_if(tensors_, [](const auto& t) { return t.first == "bert.encoder.layer.0.output.dense.bias"; });
  tensors_.emplace_back("bert.encoder.layer.1.output.dense.bias", at::zeros({8}));
  const std::string both = refusal(with_head());
  EXPECT_NAMES(both, "missing tensors: bert.encoder.layer.0.output.dense.bias");
  EXPECT_NAMES(both, "does not have: bert.encoder.layer.1.output.dense.bias");

  tensors_ = whole;
  tensors_.emplace_back("embeddings.word_embeddings.weight", at::zeros({20, 8}));
  EXPECT_NAMES(refusal(with_head()), "are both bert.embeddings.word_embeddings.weight");

  tensors_ = whole;
  tensors_[0].second = at::zeros({21, 8});
  EXPECT_NAMES(refusal(with_head()), "[21, 8] where the model has [20, 8]");

  tensors_ = whole;
  tensors_[0].second = at::zeros({20, 8}, at::kInt);
  EXPECT_NAMES(refusal(with_head()), "element type Int");

  tensors_ = whole;
  head_.labels = {"only"};
  EXPECT_NAMES(refusal(with_head()), "classifier");
}

TEST_F(ModelDirectoryTest, TakesTheDirectorysOwnHeadOrSaysThatThereIsNone) {
  EXPECT_NAMES(refusal({}), "without a head");

  config_["architectures"] = {"BertForSequenceClassification"};
  config_["id2label"] = {{"0", "bad"}, {"1", "fair"}, {"2", "good"}};
  const LoadedModel own = load({});
  EXPECT_EQ(own.model->head().labels, (std::vector<std::string>{"bad", "fair", "good"}));
  EXPECT_EQ(own.model->head().task, Task::kClassification);

  config_["problem_type"] = "regression";
  EXPECT_EQ(load({}).model->head().task, Task::kRegression);
  config_["problem_type"] = "multi_label_classification";
  EXPECT_EQ(load({}).model->head().task, Task::kMultiLabel);
  config_["problem_type"] = "ordinal";
  EXPECT_NAMES(refusal({}), "problem_type 'ordinal' is not supported; supported: regression");
  config_["problem_type"] = nullptr;
  config_["id2label"] = {{"0", "bad"}, {"2", "good"}};
  EXPECT_NAMES(refusal({}), "label 1 is missing");
  config_["id2label"] = {{"0", "bad"}, {"1", "fair"}, {"2", "good"}};
  std::erase_if(tensors_, [](const auto& t) { return t.first == "classifier.bias"; });
  EXPECT_NAMES(refusal({}), "lacks classifier.bias");
}

TEST_F(ModelDirectoryTest, RefusesConfigsOfOtherNetworksByKey) {
  const struct {
    const char* key;
    Json value;
    const char* named;
  } cases[] = {
      {"model_type", "roberta", "model_type 'roberta' is not supported; supported: bert"},
      {"model_type", nullptr, "lacks key 'model_type'"},
      {"hidden_act", "silu", "hidden_act 'silu'"},
      {"position_embedding_type", "relative_key", "relative_key"},
      {"is_decoder", true, "is_decoder"},
      {"hidden_size", 9, "does not divide"},
      {"hidden_size", "8", "'hidden_size' must be an integer"},
      {"vocab_size", 0, "'vocab_size' must be a positive size"},
      {"num_hidden_layers", nullptr, "lacks key 'num_hidden_layers'"},
      {"hidden_dropout_prob", 1.0, "hidden_dropout_prob"},
      {"layer_norm_eps", -1e-5, "layer_norm_eps"},
  };
  const Json good = config_;
  for (const auto& [key, value, named] : cases) {
    config_ = good;
    config_[key] = value;
    const std::string message = refusal(with_head());
    EXPECT_NAMES(message, named);
    EXPECT_NAMES(message, "config.json");
  }
}

}  // namespace
}  // namespace meshfold::models
