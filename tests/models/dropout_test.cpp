#include "models/context/dropout.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "base/instruction_set.hpp"
#include "models/context/philox_tensors.hpp"
#include "models/reference/reference.hpp"

namespace meshfold::models::ops {
namespace {

using base::DrawPurpose;

constexpr DrawContext kDraws{.seed = 0x12345678, .step = 77, .pass = 2};
constexpr DropoutSite kSite{.probability = 0.3, .site = 9};

/// The numerics contract, written out once more: the multiplier at `column` of the row that `place` names.
float defined_multiplier(DrawPurpose purpose, const DrawContext& draws, const DropoutSite& site,
                         std::uint32_t philox_row, std::uint32_t place, std::int64_t column) {
  const base::PhiloxKey key{draws.seed,
                            static_cast<std::uint32_t>(purpose) << 24 | std::uint32_t{draws.pass} << 16 | site.site};
  const auto words = base::philox4x32_10({draws.step, philox_row, place, static_cast<std::uint32_t>(column / 8)}, key);
  const std::uint32_t draw = words[column % 8 / 2] >> (column % 2 == 0 ? 0 : 16) & 0xFFFF;
  const auto threshold = static_cast<std::uint32_t>(site.probability * 65536.0 + 0.5);
  return draw < threshold ? 0.0F : static_cast<float>(65536.0 / (65536.0 - threshold));
}

PackedInput pack_of(const std::vector<std::int64_t>& lengths, const std::vector<std::uint32_t>& philox_rows) {
  PackedInput input{{}, {}, {}, {0}, philox_rows, 1};
  std::vector<at::Tensor> positions;
  for (const std::int64_t length : lengths) {
    positions.push_back(at::arange(length, at::kLong));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(input.cu_seqlens.back() + length));
  }
  input.positions = at::cat(positions);
  input.token_ids = at::zeros_like(input.positions);
  input.segments = at::zeros_like(input.positions);
  return input;
}

const PackedInput& three_inputs() {
  static const PackedInput input = pack_of({5, 1, 11}, {3, 4000000000u, 70000});
  return input;
}

/// Fills `out` by one of the kernels.
using Fill = void (*)(const kernels::DropoutDraws&, float*);

void expect_definition(Fill fill, const char* path) {
  const DropoutSite sites[] = {{0.1, 0}, {0.5, 3}, {1.0 / 65536.0, 65535}, {0.9999, 12}};
  for (const DropoutSite& site : sites) {
    const auto key = base::make_philox_key(kDraws.seed, DrawPurpose::kAttentionDropout, kDraws.pass, site.site);
    for (const std::int64_t width : {1, 7, 8, 9, 25, 63, 64, 100, 384}) {
      for (const std::int64_t count : {1, 2, 3, 9, 25}) {
        for (const std::uint32_t first : {0u, 6u, 11u << 20}) {
          const std::int64_t padded = Dropout::padded_width(width);
          std::vector<float> out(count * padded, -1.0F);
          fill({key, kDraws.step, 123456789, first, count, padded / 8, base::make_dropout_threshold(site.probability)},
               out.data());
          for (std::int64_t i = 0; i < count * padded; ++i) {
            const auto row = first + static_cast<std::uint32_t>(i / padded);
            const float expected =
                defined_multiplier(DrawPurpose::kAttentionDropout, kDraws, site, 123456789, row, i % padded);
            ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::bit_cast<std::uint32_t>(expected))
                << path << ": width " << width << ", row " << row << ", column " << i % padded << ", probability "
                << site.probability;
          }
        }
      }
    }
  }
}

TEST(DropoutKernels, PortableEqualsTheDefinitionBitForBit) {
  expect_definition(kernels::fill_multipliers_portable, "portable");
}

TEST(DropoutKernels, Avx2EqualsTheDefinitionBitForBit) {
  if (!base::has_avx2()) GTEST_SKIP() << "this CPU has no AVX2";
  expect_definition(kernels::fill_multipliers_avx2, "AVX2");
}

TEST(DropoutKernels, Avx512EqualsTheDefinitionBitForBit) {
  if (!base::has_avx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  expect_definition(kernels::fill_multipliers_avx512, "AVX-512");
}

/// A word as the one element of an int64 tensor.
at::Tensor word(std::uint32_t value) { return at::full({1}, std::int64_t{value}, at::kLong); }

TEST(DropoutInLibTorch, GivesTheKnownAnswersOfPhilox) {
  struct Answer {
    base::PhiloxKey key;
    base::PhiloxCounter counter, words;
  };
  const Answer answers[] = {
      {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0xa4093822, 0x299f31d0},
       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& [key, counter, words] : answers) {
    const auto drawn =
        aten::philox4x32_10({word(counter[0]), word(counter[1]), word(counter[2]), word(counter[3])}, key);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(drawn[i].item<std::int64_t>(), std::int64_t{words[i]});
  }
}

TEST(DropoutInLibTorch, EqualsTheDefinitionBitForBit) {
  for (const DropoutSite& site : {DropoutSite{0.1, 0}, {0.5, 3}, {1.0 / 65536.0, 65535}, {0.9999, 12}}) {
    const auto key = base::make_philox_key(kDraws.seed, DrawPurpose::kAttentionDropout, kDraws.pass, site.site);
    for (const std::int64_t width : {1, 8, 25, 100}) {
      const std::vector<std::int64_t> rows = {7, 4294967295, 7}, places = {0, 11 << 20 | 5, 4294967295};
      const at::Tensor drawn =
          aten::dropout_multipliers(key, kDraws.step, base::make_dropout_threshold(site.probability),
                                    at::tensor(rows, at::kLong), at::tensor(places, at::kLong), width);
      ASSERT_EQ(drawn.sizes(), (at::IntArrayRef{3, width}));
      const auto values = drawn.accessor<float, 2>();
      for (std::int64_t i = 0; i < 3; ++i) {
        for (std::int64_t column = 0; column < width; ++column) {
          const float expected =
              defined_multiplier(DrawPurpose::kAttentionDropout, kDraws, site, static_cast<std::uint32_t>(rows[i]),
                                 static_cast<std::uint32_t>(places[i]), column);
          ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i][column]), std::bit_cast<std::uint32_t>(expected));
        }
      }
    }
  }
}

TEST(DropoutInLibTorch, CountsRowsAsTheKernelsDo) {
  const ForwardContext training{Mode::kTraining, kDraws, nullptr};
  const PackedInput& input = three_inputs();

  const auto hidden = RowDropout::over_tokens(kSite, input, training).multipliers(13, at::kCPU);
  const auto head = RowDropout::over_inputs(kSite, input, training).multipliers(13, at::kCPU);
  const auto slots = RowDropout::over_slots(kSite, 5, 9, training).multipliers(13, at::kCPU);

  EXPECT_TRUE(at::equal(hidden, reference::hidden_dropout_mask(13, kSite, input, kDraws)));
  EXPECT_TRUE(at::equal(head, reference::head_dropout_mask(13, kSite, input, kDraws)));
  EXPECT_TRUE(at::equal(slots, reference::slot_dropout_mask(13, {5, 9}, kSite, kDraws)));
}

TEST(Dropout, CountsHiddenDrawsByInputRowPositionAndColumn) {
  const PackedInput& input = three_inputs();
  constexpr std::int64_t kWidth = 13;

  const auto dropout = RowDropout::over_tokens(kSite, input, {Mode::kTraining, kDraws, nullptr});
  const at::Tensor scalar = reference::hidden_dropout_mask(kWidth, kSite, input, kDraws);

  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    for (std::int64_t t = input.cu_seqlens[s]; t < input.cu_seqlens[s + 1]; ++t) {
      float row[16];
      dropout.fill_row(t, kWidth, row);
      for (std::int64_t column = 0; column < kWidth; ++column) {
        const float expected = defined_multiplier(DrawPurpose::kHiddenDropout, kDraws, kSite, input.philox_rows[s],
                                                  static_cast<std::uint32_t>(t - input.cu_seqlens[s]), column);
        EXPECT_EQ(row[column], expected) << "token " << t << ", column " << column;
        EXPECT_EQ(scalar[t][column].item<float>(), expected) << "token " << t << ", column " << column;
      }
    }
  }
}

TEST(Dropout, CountsAttentionDrawsByInputRowHeadQueryAndKey) {
  const PackedInput& input = three_inputs();
  constexpr std::int64_t kHeads = 3;

  const Dropout dropout(DrawPurpose::kAttentionDropout, kSite, {Mode::kTraining, kDraws, nullptr});
  const auto scalar = reference::attention_dropout_masks(kHeads, kSite, input, kDraws);

  ASSERT_EQ(scalar.size(), 3u);
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t length = scalar[s].size(1), padded = Dropout::padded_width(length);
    for (std::int64_t head = 0; head < kHeads; ++head) {
      std::vector<float> mask(length * padded);
      dropout.fill(input.philox_rows[s], static_cast<std::uint32_t>(head) << 20, length, length, mask.data());
      for (std::int64_t query = 0; query < length; ++query) {
        for (std::int64_t key = 0; key < length; ++key) {
          const float expected = defined_multiplier(DrawPurpose::kAttentionDropout, kDraws, kSite, input.philox_rows[s],
                                                    static_cast<std::uint32_t>(head << 20 | query), key);
          EXPECT_EQ(mask[query * padded + key], expected) << "head " << head << ", query " << query << ", key " << key;
          EXPECT_EQ(scalar[s][head][query][key].item<float>(), expected)
              << "head " << head << ", query " << query << ", key " << key;
        }
      }
    }
  }
}

TEST(Dropout, CountsHeadDrawsByInputRowAtPositionZero) {
  const PackedInput& input = three_inputs();
  constexpr std::int64_t kWidth = 20;

  const auto dropout = RowDropout::over_inputs(kSite, input, {Mode::kTraining, kDraws, nullptr});
  const at::Tensor scalar = reference::head_dropout_mask(kWidth, kSite, input, kDraws);

  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    float row[24];
    dropout.fill_row(s, kWidth, row);
    for (std::int64_t column = 0; column < kWidth; ++column) {
      const float expected =
          defined_multiplier(DrawPurpose::kHeadDropout, kDraws, kSite, input.philox_rows[s], 0, column);
      EXPECT_EQ(row[column], expected) << "input " << s << ", column " << column;
      EXPECT_EQ(scalar[s][column].item<float>(), expected) << "input " << s << ", column " << column;
    }
  }
}

TEST(Dropout, DrawsAnInputAlikeInEveryPacking) {
  const at::Tensor together = reference::hidden_dropout_mask(64, kSite, three_inputs(), kDraws);
  const at::Tensor alone = reference::hidden_dropout_mask(64, kSite, pack_of({11}, {70000}), kDraws);

  EXPECT_TRUE(at::equal(together.narrow(0, 6, 11), alone));
}

TEST(Dropout, ChangesWithSeedStepPassAndSite) {
  const at::Tensor mask = reference::hidden_dropout_mask(64, kSite, three_inputs(), kDraws);
  const auto differs = [&](const DropoutSite& site, const DrawContext& draws) {
    return !at::equal(mask, reference::hidden_dropout_mask(64, site, three_inputs(), draws));
  };

  EXPECT_FALSE(differs(kSite, kDraws));
  EXPECT_TRUE(differs(kSite, {kDraws.seed + 1, kDraws.step, kDraws.pass}));
  EXPECT_TRUE(differs(kSite, {kDraws.seed, kDraws.step + 1, kDraws.pass}));
  EXPECT_TRUE(differs(kSite, {kDraws.seed, kDraws.step, 0}));
  EXPECT_TRUE(differs({kSite.probability, 10}, kDraws));
}

TEST(Dropout, DropsTheAskedShareAndKeepsTheMean) {
  const at::Tensor mask = reference::hidden_dropout_mask(2048, kSite, pack_of({200}, {8}), kDraws);

  const double dropped = (mask == 0).to(at::kDouble).mean().item<double>();

  EXPECT_NEAR(dropped, 0.3, 0.004);  // five standard deviations of 409,600 draws
  EXPECT_NEAR(mask.to(at::kDouble).mean().item<double>(), 1.0, 0.006);
}

TEST(Dropout, IsOffInEvaluationAndRefusesOtherProbabilities) {
  const ForwardContext training{Mode::kTraining, kDraws, nullptr};

  EXPECT_TRUE(Dropout(DrawPurpose::kHiddenDropout, kSite, training).active());
  EXPECT_FALSE(Dropout(DrawPurpose::kHiddenDropout, kSite, {}).active());
  EXPECT_FALSE(Dropout(DrawPurpose::kHiddenDropout, {0.0, 1}, training).active());
  EXPECT_THROW(Dropout(DrawPurpose::kHiddenDropout, {1.0, 1}, training), std::invalid_argument);
  EXPECT_THROW(Dropout(DrawPurpose::kHiddenDropout, {-0.1, 1}, training), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::models::ops
