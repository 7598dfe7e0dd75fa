#include "models/parameters/layout_map.hpp"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/error.hpp"

namespace meshfold::models {
namespace {

/// Names and shapes of a small BERT: 7 words, 2 layers of 4 heads of width 3.
ParameterStore make_store() {
  ParameterStore store;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape, std::vector<std::int64_t> units = {}) {
    ParameterSpec spec;
    spec.name = name;
    spec.global_shape = std::move(shape);
    spec.units = std::move(units);
    store.add(std::move(spec));
  };
  add("embeddings.word_embeddings.weight", {7, 12});
  for (const std::string layer : {"layer.0.", "layer.1."}) {
    add(layer + "attention.self.query.weight", {12, 12}, {3, 1});
    add(layer + "attention.self.query.bias", {12}, {3});
    add(layer + "attention.output.dense.weight", {12, 12}, {1, 3});
    add(layer + "output.dense.weight", {12, 24});
  }
  return store;
}

const char* const kDefaults =
    R"(.*word_embeddings\.weight -> tensor~, -;
       layer\.\d+\.attention\.self\.query\.weight -> tensor, -;
       layer\.\d+\.attention\.self\.query\.bias -> tensor;
       layer\.\d+\.attention\.output\.dense\.weight -> -, tensor;
       layer\.\d+\.output\.dense\.weight -> -, tensor)";

LayoutMap defaults() { return {parse_layout_rules(kDefaults), {}}; }

/// The faults of a map, or nothing.
std::string fault(const std::string& rules, int size) {
  ParameterStore store = make_store();
  try {
    LayoutMap(parse_layout_rules(kDefaults), parse_layout_rules(rules)).cut(store, 0, size);
  } catch (const LayoutError& error) {
    return error.what();
  }
  return "";
}

Box box_of(const std::string& name, int rank, int size) {
  ParameterStore store = make_store();
  defaults().cut(store, rank, size);
  return store.find(name)->spec.box;
}

TEST(LayoutMap, CutsRowsOrColumnsAsItsRulesSay) {
  EXPECT_EQ(box_of("layer.1.attention.self.query.weight", 1, 2), (Box{{6, 0}, {6, 12}}));
  EXPECT_EQ(box_of("layer.0.attention.self.query.bias", 0, 2), (Box{{0}, {6}}));
  EXPECT_EQ(box_of("layer.1.output.dense.weight", 2, 4), (Box{{0, 12}, {12, 6}}));
  EXPECT_EQ(box_of("layer.0.attention.output.dense.weight", 3, 4), (Box{{0, 9}, {12, 3}}));
}

TEST(LayoutMap, GivesTheFirstRanksOneRowMoreWhereUnevenIsAllowed) {
  EXPECT_EQ(box_of("embeddings.word_embeddings.weight", 0, 2), (Box{{0, 0}, {4, 12}}));
  EXPECT_EQ(box_of("embeddings.word_embeddings.weight", 1, 2), (Box{{4, 0}, {3, 12}}));
}

TEST(LayoutMap, LeavesEverythingWholeOnAnAxisOfOne) {
  ParameterStore store = make_store();
  defaults().cut(store, 0, 1);

  for (const Parameter& parameter : store) EXPECT_FALSE(parameter.spec.sharded()) << parameter.spec.name;
}

TEST(LayoutMap, LaysThePiecesOutWithoutGapsInTheStore) {
  ParameterStore store = make_store();
  defaults().cut(store, 1, 2);
  store.allocate(at::kCPU, at::kFloat);

  std::int64_t next = 0;
  for (const Parameter& parameter : store) {
    EXPECT_EQ(parameter.view.offset, next);
    EXPECT_EQ(parameter.view.value.sizes(), at::IntArrayRef(parameter.spec.box.extent));
    next += parameter.num_elements;
  }
  EXPECT_EQ(store.num_elements(), next);
  EXPECT_EQ(store.find("embeddings.word_embeddings.weight")->num_elements, 3 * 12);
}

TEST(LayoutMap, RefusesARuleWithoutAMatchUnlessItIsOptional) {
  EXPECT_NE(fault(R"(layer\.\d+\.lm_head\.weight -> tensor, -)", 2).find("matches no parameter"), std::string::npos);
  EXPECT_EQ(fault(R"(optional layer\.\d+\.lm_head\.weight -> tensor, -)", 2), "");
  EXPECT_NE(fault("query -> tensor, -", 2).find("whole Hugging Face name"), std::string::npos);
}

TEST(LayoutMap, RefusesTwoRulesForOneParameter) {
  const std::string text = fault(R"(layer\.0.*query\.weight -> tensor, -; .*\.query\.weight -> -, -)", 2);

  EXPECT_EQ(text, R"(layer.0.attention.self.query.weight is matched by two layout rules, 'layer\.0.*query\.weight -> )"
                  R"(tensor, -' and '.*\.query\.weight -> -, -'; make one of them narrower)");
}

TEST(LayoutMap, RefusesADimThatDoesNotDivideCountingHeadsAndNotRows) {
  EXPECT_EQ(fault("", 4).find("query"), std::string::npos) << "4 heads, 4 ranks";
  const std::string text = fault("", 3);

  EXPECT_NE(text.find("dim 0 of layer.0.attention.self.query.weight [12, 12], 4 heads, does not divide among "
                      "mesh.tensor = 3 ranks; choose a divisor of 4"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("word_embeddings"), std::string::npos) << text;
  EXPECT_NE(fault(R"(.*word_embeddings\.weight -> tensor, -)", 2).find("7 rows, does not divide"), std::string::npos);
  EXPECT_NE(fault(R"(.*word_embeddings\.weight -> tensor~, -)", 8).find("less than one a rank"), std::string::npos);
}

TEST(LayoutMap, RefusesARuleWithAnotherNumberOfDims) {
  EXPECT_NE(fault(R"(layer\.\d+\.attention\.self\.query\..* -> tensor, -)", 2).find("has 2 dims, but"),
            std::string::npos);
}

TEST(LayoutMap, AnswersAKerasPathWithTheRuleThatWasMeant) {
  const auto answers = [](const std::string& path, const std::string& meant) {
    const std::string text = fault(path + " -> tensor, -", 2);
    return text.find("Keras path") != std::string::npos &&
           text.find("the rule meant is '" + meant + "'") != std::string::npos;
  };

  EXPECT_TRUE(answers("token_embedding/embeddings", R"(.*word_embeddings\.weight -> tensor~, -)"));
  EXPECT_TRUE(answers("decoder_block.*attention.*(query|key|value)/kernel",
                      R"(layer\.\d+\.attention\.self\.query\.weight -> tensor, -)"));
  EXPECT_TRUE(answers("decoder_block.*attention_output/kernel",
                      R"(layer\.\d+\.attention\.output\.dense\.weight -> -, tensor)"));
  EXPECT_TRUE(answers("decoder_block.*ffw_linear/kernel", R"(layer\.\d+\.output\.dense\.weight -> -, tensor)"));
}

TEST(LayoutMap, ListsLargeParametersThatAreWhole) {
  ParameterStore store;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    ParameterSpec spec;
    spec.name = name;
    spec.global_shape = std::move(shape);
    store.add(std::move(spec));
  };
  add("cut", {512, 512});
  add("large", {256, 300});
  add("small", {255, 256});
  LayoutMap({}, parse_layout_rules("cut -> tensor, -")).cut(store, 0, 2);

  EXPECT_EQ(large_whole_parameters(store), std::vector<std::string>{"large [256, 300]"});
}

TEST(LayoutRule, ReadsWhatItWrites) {
  const std::string text = R"(optional bert\.(a|b)\.weight -> -, tensor~, tensor)";

  EXPECT_EQ(parse_layout_rule(text).to_string(), text);
  for (const std::string bad : {"a.b", "a -> data", "-> tensor", "a( -> tensor", "a -> tensor,, -"}) {
    EXPECT_THROW(parse_layout_rule(bad), LayoutError) << bad;
  }
}

}  // namespace
}  // namespace meshfold::models
