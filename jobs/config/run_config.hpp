#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/folds.hpp"
#include "data/sentence_piece_training.hpp"
#include "data/tokenizer.hpp"
#include "data/turns.hpp"
#include "jobs/scores/metric_kinds.hpp"
#include "jobs/train/train_settings.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"
#include "models/parameters/layer_rates.hpp"
#include "models/parameters/layout_map.hpp"

namespace meshfold::jobs {

enum class Precision { kFp32, kBf16 };
enum class FoldStrategy {
  kKFold,
  kGroup,
  kColumn,
  kStratified,
  kMultilabelStratified,
  kStratifiedGroup,
  kMultilabelStratifiedGroup
};
enum class DeviceChoice { kAuto, kCpu, kCuda };
enum class PredictOutput { kLogits, kProbability, kValue };
enum class EmptyText { kError, kKeep };

struct RunSection {
  std::string directory;  ///< --run
  std::uint32_t seed = 42;
  DeviceChoice device = DeviceChoice::kAuto;
  int threads = 0;           ///< per rank; 0: cores this rank may use / local ranks
  double deadline_s = 600;   ///< longest wait on a peer
  double heartbeat_s = 20;   ///< silence of a rank that ends the run; 0: not watched
  bool check_calls = false;  ///< compare every call between ranks before it is made
};

struct DataSection {
  std::string train, test;  ///< CSV or JSON Lines files
  std::string id = "id", text = "text", text_pair;
  std::vector<std::string> texts;  ///< a view a column; empty: `text` alone
  std::string templates;           ///< of the views, see data::make_templates; empty: the columns themselves
  data::Turns turns = data::Turns::kNone;
  std::vector<std::string> turn_columns;  ///< empty: every text column, unless turns is kNone
  std::string turn_joiner = "\\n";        ///< see data::unescape
  std::vector<std::string> features;      ///< columns of numbers beside the text
  std::vector<std::string> targets;       ///< regression: values; classification: one column of class names, or one of
                                          ///< shares a class; multi-label: one a label
  std::vector<std::string> classes;  ///< names of the classes in their order; empty: sorted names of the class column,
                                     ///< or the target columns' names
  std::string group, fold;           ///< column names
  EmptyText empty_text = EmptyText::kError;
  std::string sample_submission;  ///< CSV whose header and ids the submission must follow
  int sample_rows = 0;            ///< of the training table, drawn by the seed; 0: all
  data::Dataset::Read read = data::Dataset::Read::kMapped;
  std::string cache;  ///< directory of tokenized datasets; default: <run>/data
};

struct TokenizerSection {
  int max_length = 128;
  data::Truncation::Kind truncation = data::Truncation::Kind::kLongestFirst;
  std::optional<int> head_tokens;        ///< head_tail needs it, the others have none
  data::SentencePieceTraining training;  ///< of train-tokenizer
  std::vector<std::string> columns;      ///< that train-tokenizer reads; default: the text columns
  std::string output;                    ///< directory that train-tokenizer writes; default: <run>/tokenizer
};

/// How the texts of a table are cut.
inline data::Truncation truncation_of(const TokenizerSection& tokenizer) {
  return {static_cast<std::size_t>(tokenizer.max_length), tokenizer.truncation,
          static_cast<std::size_t>(tokenizer.head_tokens.value_or(0))};
}

struct ModelSection {
  std::string path;
  models::Task task = models::Task::kRegression;
  models::Pooling pooling = models::Pooling::kCls;
  int pooling_first_layer = 4;                             ///< weighted_layers
  models::Pooling pooling_tokens = models::Pooling::kCls;  ///< weighted_layers: kCls or kMean
  int pooling_layers = 4;                                  ///< concat_cls
  int dropout_samples = 1;
  int reinit_layers = 0;               ///< top layers drawn anew
  models::DropoutOverrides dropout;    ///< model.hidden_dropout, model.attention_dropout
  std::optional<double> head_dropout;  ///< model.head_dropout
};

struct MeshSection {
  int data = 0, pipeline = 1, tensor = 1;  ///< per job; one of them may be 0: as many as are left
  bool shard_optimizer = true;             ///< optimizer states of a data rank's share of the parameters only (ZeRO-1)
  double bucket_mib = 25;                  ///< least size of the parts in which gradients are exchanged
};

inline std::int64_t bucket_bytes(const MeshSection& mesh) {
  return static_cast<std::int64_t>(mesh.bucket_mib * (1 << 20));
}

struct PipelineSection {
  PipelineOrder schedule = PipelineOrder::kOneForwardOneBackward;
  std::vector<int> stages;  ///< layers of each stage; empty: balanced by cost
};

struct LayoutSection {
  std::vector<models::LayoutRule> rules;  ///< empty: the architecture's own
};

struct CvSection {
  int folds = 5;
  FoldStrategy strategy = FoldStrategy::kKFold;
  int bins = 10;   ///< of each regression target, where folds are stratified by values
  int groups = 0;  ///< rank groups; 0: min(folds, ranks)
  Select select = Select::kBest;
  MetricChoice metric;                       ///< what is best
  std::optional<double> clip_min, clip_max;  ///< for test predictions and oof values
};

struct PredictSection {
  PredictOutput output = PredictOutput::kValue;
  int max_tokens_per_pack = 8192;
};

struct LogSection {
  int every_steps = 10;
  bool tensorboard = true;  ///< events.out.tfevents.* in each job's directory
};

/// Everything a run needs, as plain structs of defaults. jobs/config/option_table.cpp has the one table that names each
/// member for parsing, help, the written config and suggestions.
struct RunConfig {
  RunSection run;
  DataSection data;
  TokenizerSection tokenizer;
  ModelSection model;
  models::LossConfig loss;
  OptimizerConfig optimizer;
  models::LayerRates layer_rates;  ///< freeze.embeddings, freeze.lower_layers, optimizer.layer_decay
  LearningRateSchedule schedule;
  PlateauConfig plateau;
  TrainingSection training;
  Precision precision = Precision::kFp32;
  MeshSection mesh;
  PipelineSection pipeline;
  LayoutSection layout;
  CvSection cv;
  CheckpointSection checkpoint;
  PredictSection predict;
  std::string export_path;  ///< export.path; default <run>/model
  std::string export_job;   ///< export.job: "fold-1"; default: the best fold, or `train`
  LogSection log;

  std::string hash;      ///< of the data and training keys; checkpoints and results carry it
  std::string ini_text;  ///< the resolved config as written to <run>/config.ini
};

/// What training takes of it. `run.seed` is the run's; a job has its own (job_seed).
TrainSettings train_settings(const RunConfig& config);

}  // namespace meshfold::jobs
