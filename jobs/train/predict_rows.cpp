#include "jobs/train/predict_rows.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/pack.hpp"
#include "dist/agreement.hpp"
#include "jobs/train/pipeline_runner.hpp"
#include "jobs/train/stage_worker.hpp"

namespace meshfold::jobs {
namespace {

/// Consecutive rows, as many as fit; a longer sample is a pack of its own. Free of layout, so that predictions are too.
std::vector<data::PackRange> cut_by_tokens(const data::Dataset& dataset, std::span<const std::uint32_t> rows,
                                           std::int64_t max_tokens) {
  std::vector<data::PackRange> packs;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t length = dataset.sample_length(rows[i]);
    if (packs.empty() || tokens + length > max_tokens) {
      packs.push_back({i, i});
      tokens = 0;
    }
    packs.back().end = i + 1;
    tokens += length;
  }
  return packs;
}

/// Where each row's outputs go.
std::unordered_map<std::uint32_t, std::int64_t> places_of(std::span<const std::uint32_t> rows) {
  std::unordered_map<std::uint32_t, std::int64_t> places;
  places.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!places.emplace(rows[i], static_cast<std::int64_t>(i)).second) {
      throw std::invalid_argument("row " + std::to_string(rows[i]) + " is asked for twice in one prediction");
    }
  }
  return places;
}

}  // namespace

at::Tensor predict_rows(models::Model& model, const dist::Mesh& mesh, const data::Dataset& dataset,
                        std::span<const std::uint32_t> rows, std::int64_t max_tokens_per_pack) {
  const at::NoGradGuard no_grad;
  const auto width = static_cast<std::int64_t>(model.head().labels.size());
  // The last column counts how often a row was computed. A row is written by one rank (of a pipeline the last) and is
  // exact zeros on the others.
  const at::Tensor gathered = at::zeros({static_cast<std::int64_t>(rows.size()), width + 1}, at::kFloat);
  dist::agree(mesh.all(), "predict " + std::to_string(rows.size()) + " rows", [&] {
    const std::vector<data::PackRange> packs = cut_by_tokens(dataset, rows, max_tokens_per_pack);
    const auto places = places_of(rows);
    const auto rank = static_cast<std::size_t>(mesh.data().rank()),
               ranks = static_cast<std::size_t>(mesh.data().size());
    std::vector<PackRows> own;
    for (std::size_t p = packs.size() * rank / ranks; p < packs.size() * (rank + 1) / ranks; ++p) {
      own.push_back(rows.subspan(packs[p].begin, packs[p].end - packs[p].begin));
    }
    if (own.empty()) return;
    StageWorker worker(model, dataset, own, {});
    worker.on_outputs([&](int, const data::PackedBatch& batch, const at::Tensor& computed) {
      const at::Tensor outputs = computed.to(at::kCPU);
      for (std::size_t i = 0; i < batch.rows.size(); ++i) {
        const at::Tensor place = gathered[places.at(batch.rows[i])];
        place.narrow(0, 0, width).copy_(outputs[static_cast<std::int64_t>(i)]);
        place[width].add_(1);
      }
    });
    run_pipeline(one_phase(PipelinePhase::kForward, mesh.pipeline().size(), static_cast<int>(own.size())),
                 mesh.pipeline(), worker);
  });
  mesh.data().all_reduce(gathered, dist::ReduceOp::kSum)->wait();
  mesh.pipeline().all_reduce(gathered, dist::ReduceOp::kSum)->wait();
  const at::Tensor counts = gathered.select(1, width);
  if (counts.ne(1).any().item<bool>()) throw std::logic_error("a row was not predicted exactly once");
  return gathered.narrow(1, 0, width).contiguous();
}

}  // namespace meshfold::jobs
