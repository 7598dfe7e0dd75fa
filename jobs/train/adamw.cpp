#include "jobs/train/adamw.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "models/context/back_end.hpp"
#include "models/gradients/zero_pages.hpp"

namespace meshfold::jobs {
namespace {

/// The constants of one update.
struct Update {
  float gradient_scale;
  float beta1_rest, beta2, beta2_rest;
  float root_bias_correction2;  ///< sqrt(1 - beta2^t)
  float epsilon;
};

/// What the learning rate decides, of one parameter.
struct Rate {
  float decay_factor;  ///< 1 - learning rate x weight decay; 1 for what does not decay
  float step_size;     ///< learning rate / (1 - beta1^t)
};

constexpr std::int64_t kBlock = models::WrittenBlocks::kBlock;
constexpr std::int64_t kLook = 64;  ///< elements that are looked at together
constexpr std::array<float, kBlock> kZeros{};

std::int64_t num_blocks(std::int64_t elements) { return (elements + kBlock - 1) / kBlock; }

/// Element by element, and square root and division are correctly rounded, so neither the instruction set nor the cut
/// changes a bit.
__attribute__((target_clones("default", "avx2"))) void update_elements(const Update& u, std::int64_t n,
                                                                       const Rate& rate,
                                                                       const float* __restrict gradient,
                                                                       float* __restrict value, float* __restrict first,
                                                                       float* __restrict second) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * u.gradient_scale;
    const float m = first[i] + u.beta1_rest * (g - first[i]);
    const float v = second[i] * u.beta2 + u.beta2_rest * g * g;
    const float denominator = std::sqrt(v) / u.root_bias_correction2 + u.epsilon;
    value[i] = value[i] * rate.decay_factor - rate.step_size * (m / denominator);
    first[i] = m;
    second[i] = v;
  }
}

/// Zeros of either sign.
bool are_zeros(const float* values, std::int64_t n) {
  constexpr std::uint32_t kNoSign = 0x7fffffff;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(values[0]) & kNoSign;  // most blocks show it at once
  for (std::int64_t i = 0; bits == 0 && i < n; i += kLook) {
    for (std::int64_t j = i; j < std::min(i + kLook, n); ++j) bits |= std::bit_cast<std::uint32_t>(values[j]) & kNoSign;
  }
  return bits == 0;
}

/// Positive zeros, as of memory that was never written.
bool are_untouched(const float* values, std::int64_t n) {
  return std::all_of(values, values + n, [](float value) { return std::bit_cast<std::uint32_t>(value) == 0; });
}

/// One thread's part of an update.
struct ChunkArrays {
  const float* gradient;
  float *value, *first, *second;
  std::uint8_t* has_moments;  ///< per block
};

/// Moments of new blocks are written before they are read (zero_pages.hpp).
void begin_moments(const ChunkArrays& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t from = begin, to = 0; from < end; from = to) {
    to = std::min(from + kBlock, end);
    if (std::exchange(a.has_moments[from / kBlock], std::uint8_t{1}) != 0) continue;
    std::fill(a.first + from, a.first + to, 0.0F);
    std::fill(a.second + from, a.second + to, 0.0F);
  }
}

enum class Work {
  kDecay,    ///< gradient and moments are zero: only weight decay changes anything
  kMoments,  ///< the gradient is known to be zero and not read
  kAll,
};

/// Moments that stay zero are neither read nor written, so that they take no memory; the bits are those of kAll.
template <typename KnownZero>
void update_chunk(const Update& u, const Rate& rate, const ChunkArrays& a, std::int64_t count,
                  const KnownZero& gradient_is_known_zero) {
  const auto work_on = [&](std::int64_t begin) {
    const std::int64_t end = std::min(begin + kBlock, count);
    const bool is_zero = gradient_is_known_zero(begin, end);
    const bool may_stay = u.epsilon > 0.0F && a.has_moments[begin / kBlock] == 0;  // epsilon 0: 0 / 0
    if (may_stay && (is_zero || are_zeros(a.gradient + begin, end - begin))) return Work::kDecay;
    return is_zero ? Work::kMoments : Work::kAll;
  };
  for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
    const Work work = work_on(begin);
    end = begin + kBlock;
    while (work == Work::kAll && end < count && work_on(end) == work) end += kBlock;
    const std::int64_t n = std::min(end, count) - begin;
    if (work != Work::kDecay) {
      begin_moments(a, begin, begin + n);
      update_elements(u, n, rate, work == Work::kMoments ? kZeros.data() : a.gradient + begin, a.value + begin,
                      a.first + begin, a.second + begin);
    } else if (rate.decay_factor != 1.0F) {
      for (std::int64_t i = begin; i < begin + n; ++i) a.value[i] *= rate.decay_factor;
    }
  }
}

/// The same update of whole tensors on any device.
void update_in_libtorch(const Update& u, const Rate& rate, const at::Tensor& gradient, at::Tensor value,
                        at::Tensor first, at::Tensor second) {
  const at::Tensor g = gradient * u.gradient_scale;
  first.add_((g - first).mul_(u.beta1_rest));
  second.mul_(u.beta2).add_((g * u.beta2_rest).mul_(g));
  const at::Tensor denominator = second.sqrt().div_(u.root_bias_correction2).add_(u.epsilon);
  value.mul_(rate.decay_factor).sub_(at::div(first, denominator).mul_(rate.step_size));
}

}  // namespace

AdamW::AdamW(const models::ParameterStore& store, const OptimizerConfig& config, ElementRanges ranges)
    : Optimizer(store, std::move(ranges)),
      config_(config),
      first_moment_(models::zero_pages(num_elements(), store.flat().device())),
      second_moment_(models::zero_pages(num_elements(), store.flat().device())) {
  std::int64_t blocks = 0;
  for (const Chunk& chunk : chunks_) {
    first_blocks_.push_back(blocks);
    blocks += num_blocks(chunk.end - chunk.begin);
  }
  has_moments_.assign(static_cast<std::size_t>(blocks), 0);
}

std::vector<Optimizer::State> AdamW::states() const {
  return {{"first_moment", first_moment_}, {"second_moment", second_moment_}};
}

void AdamW::step(const models::FlatGradient& gradient, double gradient_scale, double learning_rate) {
  check_gradient(gradient.values);
  ++num_updates_;
  const auto t = static_cast<double>(num_updates_);
  Update update;
  update.gradient_scale = static_cast<float>(gradient_scale);
  update.beta1_rest = static_cast<float>(1.0 - config_.beta1);
  update.beta2 = static_cast<float>(config_.beta2);
  update.beta2_rest = static_cast<float>(1.0 - config_.beta2);
  const double bias_correction1 = 1.0 - std::pow(config_.beta1, t);
  update.root_bias_correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(config_.beta2, t)));
  update.epsilon = static_cast<float>(config_.epsilon);

  const auto rate_of = [&](const Chunk& chunk) {
    const double rate = learning_rate * chunk.rate, decay = chunk.decays ? config_.weight_decay : 0.0;
    return Rate{static_cast<float>(1.0 - rate * decay), static_cast<float>(rate / bias_correction1)};
  };
  if (models::ops::back_end_of(gradient.values) == models::ops::BackEnd::kAten) {
    for (const Chunk& span : spans()) {
      if (span.rate == 0.0) continue;
      const std::int64_t count = span.end - span.begin, own = span.state;
      update_in_libtorch(update, rate_of(span), gradient.values.narrow(0, span.begin, count),
                         store_.flat().narrow(0, span.begin, count), first_moment_.narrow(0, own, count),
                         second_moment_.narrow(0, own, count));
    }
    return;
  }
  const float* gradients = gradient.values.const_data_ptr<float>();
  auto* values = store_.flat().mutable_data_ptr<float>();
  auto* first = first_moment_.mutable_data_ptr<float>();
  auto* second = second_moment_.mutable_data_ptr<float>();
  const auto num_chunks = static_cast<std::int64_t>(chunks_.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(c)];
    if (chunk.rate == 0.0) continue;
    update_chunk(update, rate_of(chunk),
                 {gradients + chunk.begin, values + chunk.begin, first + chunk.state, second + chunk.state,
                  has_moments_.data() + first_blocks_[static_cast<std::size_t>(c)]},
                 chunk.end - chunk.begin, [&](std::int64_t begin, std::int64_t end) {
                   return gradient.is_known_zero(chunk.begin + begin, chunk.begin + end);
                 });
  }
}

void AdamW::resume(std::int64_t num_updates) {
  Optimizer::resume(num_updates);
  if (!first_moment_.is_cpu()) return;
  const float* first = first_moment_.const_data_ptr<float>();
  const float* second = second_moment_.const_data_ptr<float>();
  const auto num_chunks = static_cast<std::int64_t>(chunks_.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(c)];
    const std::int64_t count = chunk.end - chunk.begin;
    for (std::int64_t begin = 0; begin < count; begin += kBlock) {
      const std::int64_t n = std::min(kBlock, count - begin), state = chunk.state + begin;
      has_moments_[static_cast<std::size_t>(first_blocks_[static_cast<std::size_t>(c)] + begin / kBlock)] =
          are_untouched(first + state, n) && are_untouched(second + state, n) ? 0 : 1;
    }
  }
  for (const at::Tensor& moment : {first_moment_, second_moment_}) models::release_zeros(moment);
}

}  // namespace meshfold::jobs
