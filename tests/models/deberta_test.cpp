#include "models/networks/deberta.hpp"
#include "models/directory/export_model.hpp"
#include "models/directory/load_model.hpp"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "models/error.hpp"
#include "models/files/config_json.hpp"
#include "models/networks/sequence_model.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

LoadedModel load_without_dropout(const fs::path& directory, at::ScalarType type) {
  LoadOptions options;
  options.dropout = {.hidden = 0.0, .attention = 0.0};
  options.compute_type = type;
  return load_model(directory, options);
}

class DebertaAgainstTransformers : public testing::TestWithParam<const char*> {
 protected:
  fs::path directory() const { return TransformersReference::directory("deberta") / GetParam(); }
  TransformersReference reference() const { return TransformersReference(directory() / "reference.safetensors"); }
};

TEST_P(DebertaAgainstTransformers, GivesTheSameLogitsAndEveryGradient) {
  const LoadedModel loaded = load_without_dropout(directory(), at::kFloat);

  EXPECT_TRUE(loaded.report.initialized.empty() && loaded.report.left_out.empty());
  reference().expect_equal_step(*loaded.model);
}

TEST_P(DebertaAgainstTransformers, StaysCloseInBf16) {
  const at::Tensor logits = load_without_dropout(directory(), at::kBFloat16).model->forward(reference().input(), {});

  const double error = relative_error(logits, reference().tensor("logits"));
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 0.0);
}

TEST_P(DebertaAgainstTransformers, LoadsItsExportBackWithTheSameBits) {
  const LoadedModel first = load_without_dropout(directory(), at::kFloat);
  const fs::path target = directory().parent_path() / "exported" / GetParam();
  fs::remove_all(target);
  export_model(*first.model, directory(), target);  // deberta_export_oracle.py loads it with transformers

  const LoadedModel second = load_model(target, {});

  EXPECT_EQ(first.model->parameters().hash(), second.model->parameters().hash());
  EXPECT_TRUE(second.report.initialized.empty() && second.report.left_out.empty());
  EXPECT_EQ(second.model->dropout().hidden, 0.0);
}

INSTANTIATE_TEST_SUITE_P(Models, DebertaAgainstTransformers,
                         testing::Values("v3", "few_buckets", "odd_buckets", "every_distance", "content_to_position",
                                         "position_to_content", "no_terms", "own_projections", "own_key_projection",
                                         "absolute_positions", "narrow_embeddings", "wide_embeddings", "dense"),
                         [](const auto& entry) { return std::string(entry.param); });

TEST(Deberta, NumbersDistancesAsTransformersDoes) {
  constexpr std::int64_t kLongest = 1500;
  const auto file = SafetensorsFile::open(TransformersReference::directory("deberta") / "buckets.safetensors");
  ASSERT_FALSE(file.entries().empty());
  for (const auto& [name, entry] : file.entries()) {
    const ops::RelativeBuckets buckets{std::stoll(name), std::stoll(name.substr(name.find('_') + 1))};
    const std::int64_t span = buckets.span();
    const ops::RelativeSlots slots(buckets, kLongest);
    const at::Tensor expected = at::clamp(file.tensor(name) + span, 0, 2 * span - 1);
    const auto* values = expected.const_data_ptr<std::int64_t>();
    for (std::int64_t distance = 1 - kLongest; distance < kLongest; ++distance) {
      ASSERT_EQ(slots.first() + slots.slot(distance), values[distance + kLongest - 1]) << name << " at " << distance;
    }
  }
}

/// DeBERTa-v3's kind, small.
Json small_config() {
  return {{"model_type", "deberta-v2"},
          {"architectures", {"DebertaV2Model"}},
          {"vocab_size", 50},
          {"hidden_size", 36},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 3},
          {"intermediate_size", 70},
          {"max_position_embeddings", 32},
          {"relative_attention", true},
          {"position_buckets", 8},
          {"pos_att_type", "p2c|c2p"},
          {"share_att_key", true},
          {"norm_rel_ebd", "layer_norm"},
          {"position_biased_input", false},
          {"hidden_dropout_prob", 0.2},
          {"attention_probs_dropout_prob", 0.2},
          {"pooler_dropout", 0.2}};
}

/// `changes` over small_config, as a directory's config.json.
ConfigJson config_json(const Json& changes = Json::object()) {
  const fs::path directory = fs::path(testing::TempDir()) / "meshfold_deberta_config";
  fs::create_directories(directory);
  Json config = small_config();
  config.update(changes);
  std::ofstream(directory / "config.json") << config.dump();
  return ConfigJson(directory);
}

HeadConfig three_targets() {
  return {.task = Task::kRegression, .pooling = Pooling::kCls, .labels = {"a", "b", "c"}, .dropout = {}};
}

std::unique_ptr<Model> small_model() {
  auto model =
      make_sequence_model(make_deberta_backbone(read_deberta_config(config_json()), {}), three_targets(), at::kFloat);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}) * 0.3);
  return model;
}

TEST(Deberta, GivesOnePackOfEightTheLogitsAndGradientsOfEightPacksOfOneUnderDropout) {
  const std::vector<std::int64_t> lengths = {1, 100, 7, 8, 9, 3, 16, 2};
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  const auto model = small_model();
  expect_packing_changes_nothing(
      *model, pack_of(at::randint(50, {tokens}, at::kLong), at::zeros({tokens}, at::kLong), lengths));
}

TEST(Deberta, KeepsTheProjectionOfItsEmbeddingsWholeOnATensorAxis) {
  const DebertaConfig config = read_deberta_config(config_json({{"embedding_size", 12}, {"intermediate_size", 72}}));
  ModelLayout layout;
  layout.tensor_ranks = 3;
  const auto make = [&] {
    return make_sequence_model(make_deberta_backbone(config, {}), three_targets(), at::kFloat, layout);
  };

  const auto model = make();
  const ParameterStore& store = model->parameters();
  EXPECT_EQ(store.view("deberta.embeddings.word_embeddings.weight").value.sizes(), (at::IntArrayRef{17, 12}));
  EXPECT_EQ(store.view("deberta.embeddings.embed_proj.weight").value.sizes(), (at::IntArrayRef{36, 12}));
  EXPECT_TRUE(store.find("deberta.embeddings.embed_proj.weight")->spec.gradient_is_partial());
  layout.rules = parse_layout_rules(R"(deberta\.embeddings\.embed_proj\.weight -> tensor, -)");
  EXPECT_THROW(make(), LayoutError);
}

TEST(Deberta, RunsForwardAndBackwardOnAnEmptyPack) { expect_empty_pack_runs(*small_model(), 3); }

TEST(Deberta, ReadsConfigsAsTransformersDoes) {
  const DebertaConfig v3 = read_deberta_config(config_json());
  EXPECT_TRUE(v3.attention.content_to_position && v3.attention.position_to_content);
  EXPECT_EQ(v3.attention.scale, 1 / std::sqrt(3.0 * v3.hidden_size / v3.attention.num_heads));
  EXPECT_EQ(v3.attention.buckets.max_distance, 32);  // max_position_embeddings

  const DebertaConfig bare = read_deberta_config(config_json({{"relative_attention", nullptr},
                                                              {"pos_att_type", {"c2p"}},
                                                              {"position_biased_input", nullptr},
                                                              {"share_att_key", nullptr},
                                                              {"norm_rel_ebd", nullptr},
                                                              {"max_relative_positions", 20},
                                                              {"cls_dropout", 0.25}}));
  EXPECT_FALSE(bare.relative_attention || bare.share_position_projections || bare.norm_relative_embeddings);
  EXPECT_FALSE(bare.attention.has_positions());
  EXPECT_EQ(bare.attention.scale, 1 / std::sqrt(2.0 * bare.hidden_size / bare.attention.num_heads));
  EXPECT_TRUE(bare.position_biased_input);
  EXPECT_EQ(bare.classifier_dropout, 0.25);
  EXPECT_EQ(bare.layer_norm_epsilon, 1e-7);
}

TEST(Deberta, RefusesOtherNetworksByName) {
  const std::pair<Json, const char*> cases[] = {{{{"conv_kernel_size", 3}}, "convolution"},
                                                {{{"z_steps", 2}}, "z_steps"},
                                                {{{"embedding_size", 0}}, "embedding_size"},
                                                {{{"pooler_hidden_size", 16}}, "pooler_hidden_size"},
                                                {{{"attention_head_size", 8}}, "attention_head_size"},
                                                {{{"num_attention_heads", 5}}, "does not divide"},
                                                {{{"pos_att_type", "p2c|p2p"}}, "'p2p'"},
                                                {{{"norm_rel_ebd", "rms_norm"}}, "'rms_norm'"},
                                                {{{"position_buckets", 1}}, "position_buckets"},
                                                {{{"position_buckets", 62}}, "position_buckets"},
                                                {{{"pooler_hidden_act", "mish"}}, "pooler_hidden_act 'mish'"},
                                                {{{"hidden_dropout_prob", 1.0}}, "hidden_dropout_prob"},
                                                {{{"hidden_size", nullptr}}, "'hidden_size'"}};
  for (const auto& [changes, named] : cases) {
    try {
      read_deberta_config(config_json(changes));
      ADD_FAILURE() << changes << " was accepted";
    } catch (const ModelFileError& error) {
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    }
  }
}

TEST(Deberta, RefusesItsRelativesByName) {
  for (const auto& [type, words] : {std::pair{"deberta", "DeBERTa v1"}, {"funnel", "Funnel"}}) {
    const ConfigJson json = config_json({{"model_type", type}});
    try {
      load_model(fs::path(testing::TempDir()) / "meshfold_deberta_config", {});
      ADD_FAILURE() << type << " was accepted";
    } catch (const ModelFileError& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("supported: bert, deberta-v2"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace meshfold::models
