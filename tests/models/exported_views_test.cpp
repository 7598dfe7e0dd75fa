// Heads over several texts and features as files: what is exported loads back with the same logits, here and, by
// heads_oracle.py, in examples/load_model.py; what does not fit is refused.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/directory/export_model.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/networks/model.hpp"
#include "models/parameters/parameter_initialization.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSamples = 3, kViews = 2;

fs::path directory() { return TransformersReference::directory("heads"); }

HeadConfig head_of(Pooling pooling) {
  return {.pooling = pooling,
          .labels = {"a", "b", "c"},
          .dropout = 0.0,
          .views = kViews,
          .features = {{"length", 20.0, 8.0}, {"turns", -1.5, 0.25}}};
}

LoadedModel load(const std::string& backbone, const HeadConfig& head) {
  LoadOptions options;
  options.head = head;
  options.dropout = {0.0, 0.0};
  options.seed = 9;
  return load_model(directory() / backbone, options);
}

/// Texts of 1 to 17 tokens, the views of a sample one behind the other.
PackedInput texts_of(std::int64_t views, std::int64_t features) {
  const std::vector<std::int64_t> all = {7, 3, 17, 1, 2, 12, 5, 9, 4};
  const std::vector<std::int64_t> lengths(all.begin(), all.begin() + kSamples * views);
  std::int64_t tokens = 0;
  for (const std::int64_t length : lengths) tokens += length;
  const at::Tensor ids = at::arange(tokens, at::kLong) * 37 % 100 + 1;
  PackedInput input = pack_of(ids, at::zeros_like(ids), lengths);
  input.views_per_sample = static_cast<std::uint32_t>(views);
  if (features > 0) input.features = at::arange(kSamples * features, at::kFloat).view({kSamples, features}) * 3 - 2;
  return input;
}

/// With values that a fresh head does not have, so that reading them matters.
LoadedModel trained(const std::string& backbone, Pooling pooling) {
  LoadedModel loaded = load(backbone, head_of(pooling));
  for (const Parameter& parameter : loaded.model->parameters()) {
    if (!parameter.spec.name.starts_with("bert.") && !parameter.spec.name.starts_with("deberta."))
      initialize_parameter(parameter, 21, 0.3);
  }
  at::Tensor(loaded.model->parameters().view("classifier.bias").value).copy_(at::tensor({0.1F, -0.2F, 0.3F}));
  return loaded;
}

struct Case {
  std::string backbone;  ///< <oracles>/heads/<backbone>
  Pooling pooling;
  std::string name;  ///< of its export, <oracles>/heads/exported_views/<name>
};

const Case kCases[] = {{"model", Pooling::kCls, "bert_cls"},
                       {"model", Pooling::kMean, "bert_mean"},
                       {"deberta", Pooling::kCls, "deberta_cls"},
                       {"deberta", Pooling::kMax, "deberta_max"}};

/// Exports anew and says where.
fs::path exported(const Model& model, const Case& of) {
  const fs::path target = directory() / "exported_views" / of.name;
  fs::remove_all(target);
  export_model(model, directory() / of.backbone, target);
  return target;
}

template <typename Error, typename Work>
std::string complaint_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in: " << text;
}

TEST(ExportedViews, LoadBackWithTheSameBitsTextsAndFeatures) {
  std::vector<std::pair<std::string, at::Tensor>> logits;
  const PackedInput input = texts_of(kViews, 2);
  for (const Case& of : kCases) {
    const LoadedModel first = trained(of.backbone, of.pooling);

    const LoadedModel second = load_model(exported(*first.model, of), {});

    EXPECT_EQ(first.model->parameters().hash(), second.model->parameters().hash()) << of.name;
    EXPECT_TRUE(second.report.initialized.empty() && second.report.left_out.empty()) << of.name;
    const HeadConfig& head = second.model->head();
    EXPECT_EQ(head.pooling, of.pooling);
    EXPECT_EQ(head.views, kViews);
    ASSERT_EQ(head.features.size(), 2u);
    EXPECT_EQ(head.features[1].name, "turns");
    EXPECT_EQ(head.features[1].mean, -1.5);
    EXPECT_EQ(head.features[1].scale, 0.25);
    const at::Tensor outputs = first.model->forward(input, {});
    EXPECT_EQ(outputs.sizes(), (at::IntArrayRef{kSamples, 3}));
    EXPECT_TRUE(at::equal(outputs, second.model->forward(input, {}))) << of.name;
    logits.emplace_back(of.name, outputs.contiguous());
  }
  logits.emplace_back("token_ids", input.token_ids.contiguous());
  logits.emplace_back("lengths", at::diff(at::tensor(input.cu_seqlens, at::kLong)).contiguous());
  logits.emplace_back("features", input.features.contiguous());
  write_safetensors(directory() / "exported_views.safetensors", logits, {});
}

TEST(ExportedViews, RefuseOtherNumbersOfTextsAndFeatures) {
  const Case& of = kCases[2];
  const LoadedModel loaded = load_model(exported(*trained(of.backbone, of.pooling).model, of), {});

  for (const auto& [views, features] : {std::pair{1, 2}, {3, 2}, {2, 0}, {2, 1}, {2, 3}}) {
    const std::string complaint =
        complaint_of<std::invalid_argument>([&] { loaded.model->forward(texts_of(views, features), {}); });
    expect_has(complaint, "reads 2 texts and 2 features a sample, but is given " + std::to_string(views) + " and " +
                              std::to_string(features));
  }
}

TEST(ExportedViews, RefuseAConfigThatNamesOtherTextsOrFeaturesThanTheWeightsHave) {
  const Case& of = kCases[1];
  const fs::path target = exported(*trained(of.backbone, of.pooling).model, of);
  const auto damaged = [&](const char* key, const nlohmann::json& value) {
    nlohmann::ordered_json config;
    std::ifstream(target / "config.json") >> config;
    config["meshfold_head"][key] = value;
    const fs::path other = fs::path(testing::TempDir()) / "meshfold_damaged_views";
    fs::remove_all(other);
    fs::copy(target, other);
    std::ofstream(other / "config.json") << config.dump();
    return complaint_of<ModelFileError>([&] { load_model(other, {}); });
  };

  for (const std::string& complaint : {damaged("views", 3), damaged("features", nlohmann::json::array())}) {
    expect_has(complaint, "head.safetensors: tensor 'classifier.weight' has shape [3, 50] where the model has [3, ");
    expect_has(complaint, "meshfold_head in config.json");
  }
  expect_has(damaged("views", 0), "meshfold_head.views must be at least 1");
  expect_has(damaged("features", {{{"name", "x"}, {"mean", 0.0}, {"scale", 0.0}}}), "a scale must be above 0");
  expect_has(damaged("features", {{{"name", "x"}}}), "damaged");
}

TEST(ExportedViews, GiveTheirClassifierOnlyToAHeadOfTheSameTextsAndFeatures) {
  const Case& of = kCases[1];
  const fs::path target = exported(*trained(of.backbone, of.pooling).model, of);
  const auto drawn = [&](HeadConfig head) {
    LoadOptions options;
    options.head = std::move(head);
    return load_model(target, options).report.initialized;
  };
  const std::vector<std::string> fresh = {"classifier.weight", "classifier.bias"};
  HeadConfig more_texts = head_of(of.pooling), no_features = more_texts, renamed = more_texts, turned = more_texts;
  more_texts.views = 3;
  no_features.features.clear();
  renamed.features[0].name = "width";
  std::swap(turned.features[0], turned.features[1]);

  EXPECT_TRUE(drawn(head_of(of.pooling)).empty());
  EXPECT_EQ(drawn(more_texts), fresh);
  EXPECT_EQ(drawn(no_features), fresh);
  EXPECT_EQ(drawn(renamed), fresh) << "a weight of one feature would be another's";
  EXPECT_EQ(drawn(turned), fresh);
}

}  // namespace
}  // namespace meshfold::models
