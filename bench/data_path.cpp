// What it costs to get samples to the model, in processor time of one thread: random access to the mapped dataset
// beside one H5Dread a sample, and the assembly of a step's packs beside the whole step of a real model.
//   data_path_bench DATASET.h5 MODEL_DIRECTORY [fp32|bf16]

#include <ATen/Parallel.h>
#include <hdf5.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/processor_time.hpp"
#include "data/dataset.hpp"
#include "data/hdf5_handle.hpp"
#include "data/pack.hpp"
#include "data/step_plan.hpp"
#include "jobs/train/gradient_exchange.hpp"
#include "jobs/train/optimizer.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/parts.hpp"
#include "jobs/train/train_step.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold {
namespace {

using bench::processor_seconds;

constexpr int kBatchSize = 32, kSteps = 20;

std::vector<std::uint32_t> shuffled_rows(const data::Dataset& dataset) {
  std::vector<std::uint32_t> rows(dataset.num_samples());
  std::iota(rows.begin(), rows.end(), 0U);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(1));
  return rows;
}

/// Copies a sample's tokens to `tokens`; the two ways of access.
using ReadSample = std::function<void(std::uint32_t row, std::int32_t* tokens)>;

/// Sum of all tokens: both ways must read the same. Untimed.
std::uint64_t checksum(const data::Dataset& dataset, const std::vector<std::uint32_t>& rows, const ReadSample& read) {
  std::vector<std::int32_t> tokens(1 << 16);
  std::uint64_t sum = 0;
  for (const std::uint32_t row : rows) {
    read(row, tokens.data());
    sum = std::accumulate(tokens.begin(), tokens.begin() + dataset.length(row), sum);
  }
  return sum;
}

double seconds_per_sample(const std::vector<std::uint32_t>& rows, int rounds, const ReadSample& read) {
  std::vector<std::int32_t> tokens(1 << 16);
  const double start = processor_seconds();
  for (int round = 0; round < rounds; ++round) {
    for (const std::uint32_t row : rows) read(row, tokens.data());
  }
  return (processor_seconds() - start) / (rounds * static_cast<double>(rows.size()));
}

/// One hyperslab a sample of the open dataset. The offsets are in memory, as for the mapped way.
class Hdf5Reader {
 public:
  Hdf5Reader(const std::string& file, const data::Dataset& dataset)
      : file_(file),
        source_(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "H5Fopen", file),
        tokens_(H5Dopen2(source_.get(), "tokens", H5P_DEFAULT), "H5Dopen2", file),
        space_(H5Dget_space(tokens_.get()), "H5Dget_space", file),
        wide_(dataset.attributes().at("token_type") == "i32"),
        offsets_(dataset.num_samples() + 1, 0) {
    for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
      offsets_[row + 1] = offsets_[row] + dataset.length(row);
    }
  }

  /// As int32, which HDF5 converts to where it stores uint16: what the mapped way gives.
  void read(std::uint32_t row, std::int32_t* tokens) const { read_as(H5T_NATIVE_INT32, row, tokens); }
  /// As they are stored, which is faster; widening them is left to the caller.
  void read_stored(std::uint32_t row, std::int32_t* tokens) const {
    read_as(wide_ ? H5T_NATIVE_INT32 : H5T_NATIVE_UINT16, row, tokens);
  }

 private:
  void read_as(hid_t type, std::uint32_t row, void* tokens) const {
    const hsize_t length = offsets_[row + 1] - offsets_[row];
    H5Sselect_hyperslab(space_.get(), H5S_SELECT_SET, &offsets_[row], nullptr, &length, nullptr);
    const data::Hdf5Space memory(H5Screate_simple(1, &length, nullptr), "H5Screate_simple", file_);
    data::check_hdf5(H5Dread(tokens_.get(), type, memory.get(), space_.get(), H5P_DEFAULT, tokens), "H5Dread", file_);
  }

  std::string file_;
  data::Hdf5File source_;
  data::Hdf5Dataset tokens_;
  data::Hdf5Space space_;
  bool wide_;
  std::vector<hsize_t> offsets_;
};

void compare_access(const std::string& file, const data::Dataset& dataset) {
  if (dataset.views_per_sample() != 1) throw std::invalid_argument("the dataset has several views a sample");
  const auto rows = shuffled_rows(dataset);
  const Hdf5Reader reader(file, dataset);
  const ReadSample by_mapping = [&](std::uint32_t row, std::int32_t* tokens) { dataset.copy_tokens(row, tokens); };
  const ReadSample by_hdf5 = [&](std::uint32_t row, std::int32_t* tokens) { reader.read(row, tokens); };
  // This also brings the file into memory for both.
  if (checksum(dataset, rows, by_mapping) != checksum(dataset, rows, by_hdf5)) {
    throw std::runtime_error("the two ways read different tokens");
  }
  const ReadSample as_stored = [&](std::uint32_t row, std::int32_t* tokens) { reader.read_stored(row, tokens); };
  const double mapped = seconds_per_sample(rows, 20, by_mapping), called = seconds_per_sample(rows, 1, by_hdf5),
               stored = seconds_per_sample(rows, 1, as_stored);
  std::printf(
      "random access, %zu samples: mapped %.1f ns, H5Dread %.1f ns a sample, ratio %.0f; H5Dread without conversion to "
      "int32 %.1f ns, ratio %.0f\n",
      rows.size(), 1e9 * mapped, 1e9 * called, called / mapped, 1e9 * stored, stored / mapped);
}

/// What TrainStep does before the model sees anything: the costs, the cut, the tokens and the targets of every pack.
double assembly_seconds(const data::Dataset& dataset, const data::StepPlan& plan, const models::Model& model,
                        int parts) {
  constexpr int kRounds = 20;
  const double start = processor_seconds();
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t step = 0; step < kSteps; ++step) {
      const auto rows = plan.step(step);
      std::vector<std::uint64_t> costs;
      const data::InputCost input_cost = [&](std::uint64_t length) { return model.input_cost(length); };
      for (const std::uint32_t row : rows) costs.push_back(data::sample_cost(dataset, row, input_cost));
      jobs::targets_of(dataset, rows);
      for (const data::PackRange range : data::pack(costs, static_cast<std::size_t>(parts))) {
        const auto batch = data::assemble(dataset, rows.subspan(range.begin, range.end - range.begin));
        jobs::to_packed_input(batch, at::kCPU);
        jobs::to_targets(batch, at::kCPU);
      }
    }
  }
  return (processor_seconds() - start) / (kRounds * kSteps);
}

void compare_assembly(const data::Dataset& dataset, const std::string& model_directory, at::ScalarType type) {
  models::LoadOptions options;
  options.head = models::HeadConfig{};
  for (std::uint32_t target = 0; target < dataset.num_targets(); ++target) {
    options.head->labels.push_back("target " + std::to_string(target));
  }
  options.compute_type = type;
  const auto model = models::load_model(model_directory, options).model;
  jobs::TrainSettings settings;
  settings.training.batch_size = kBatchSize;
  const int parts = jobs::resolve_parts(settings.training, dataset, 1);
  const auto rows = shuffled_rows(dataset);
  const data::StepPlan plan(1, 0, rows, kBatchSize, data::LastStep::kShort);
  if (plan.num_steps() <= kSteps) throw std::invalid_argument("the dataset has too few rows");
  const dist::Mesh mesh;
  jobs::GradientExchange exchange(model->parameters(), mesh, jobs::StateSharding::kOff);
  const auto optimizer = jobs::make_optimizer(model->parameters(), settings.optimizer, exchange.owned());
  jobs::TrainStep train_step(jobs::step_settings("bench", settings, parts), *model, mesh, dataset,
                             {exchange, *optimizer});
  train_step.run(plan.step(kSteps), 0, 1e-5, {});  // warms up
  const double start = processor_seconds();
  for (std::size_t step = 0; step < kSteps; ++step) {
    train_step.run(plan.step(step), static_cast<std::int64_t>(step), 1e-5, {});
  }
  const double whole = (processor_seconds() - start) / kSteps;
  const double assembly = assembly_seconds(dataset, plan, *model, parts);
  std::printf("%s step of %d samples in %d packs: %.2f ms, of which batch assembly %.3f ms, %.2f %%\n",
              type == at::kFloat ? "fp32" : "bf16", kBatchSize, parts, 1e3 * whole, 1e3 * assembly,
              100.0 * assembly / whole);
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  const std::string type = argc > 3 ? argv[3] : "fp32";
  if (argc < 3 || (type != "fp32" && type != "bf16")) {
    std::fprintf(stderr, "usage: data_path_bench DATASET.h5 MODEL_DIRECTORY [fp32|bf16]\n");
    return 2;
  }
  try {
    at::set_num_threads(1);
    const auto dataset = meshfold::data::Dataset::open(argv[1]);
    meshfold::compare_access(argv[1], dataset);
    meshfold::compare_assembly(dataset, argv[2], type == "fp32" ? at::kFloat : at::kBFloat16);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "data_path_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
