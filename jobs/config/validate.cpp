#include "jobs/config/validate.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "data/text_template.hpp"
#include "models/networks/pooling_names.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// One pass over a config; each check appends its faults.
class Validation {
 public:
  Validation(const RunConfig& config, const ConfigUse& use, const SettingPlaces& places,
             std::vector<std::string>& faults)
      : config_(config), use_(use), places_(places), faults_(faults) {}

  void run() {
    check_needed();
    check_files();
    check_texts();
    check_truncation();
    if (trains()) {
      check_task();
      check_training();
    }
    if (is_for(CommandName::kCv)) check_folds();
    if (kMeshCommands.contains(use_.command)) check_mesh();
    if (config_.cv.clip_min && config_.cv.clip_max && *config_.cv.clip_min > *config_.cv.clip_max) {
      fault("cv.clip_min", "is above cv.clip_max");
    }
  }

 private:
  bool is_for(CommandName command) const { return use_.command == command; }
  bool trains() const { return kTrainingCommands.contains(use_.command); }

  /// "vader.ini:12: cv.folds is ...": the place only where somebody set the option.
  void fault(const std::string& key, const std::string& problem) {
    const auto place = places_.find(key);
    faults_.push_back((place == places_.end() ? "" : place->second + ": ") + key + " " + problem);
  }

  void need(const std::string& key, const std::string& value, const std::string& what) {
    if (!value.empty()) return;
    fault(key, "is not set, and " + std::string(word_of(use_.command)) + " needs it: " + what);
  }

  void check_needed() {
    if (config_.run.directory.find('\n') != std::string::npos) faults_.push_back("--run: a line break in the name");
    if (trains()) {
      need("data.train", config_.data.train, "the table to train on (CSV or JSON Lines)");
      if (config_.data.targets.empty()) need("data.targets", "", "the target columns, comma-separated");
    }
    if (is_for(CommandName::kTrainTokenizer)) need("data.train", config_.data.train, "the table with the texts");
    if (is_for(CommandName::kPredict)) {
      need("data.test", config_.data.test, "the table to predict (CSV or JSON Lines)");
    }
    if (is_for(CommandName::kTokenize) && config_.data.train.empty() && config_.data.test.empty()) {
      fault("data.train", "and data.test are not set; tokenize needs one of them");
    }
    if (trains() || is_for(CommandName::kTokenize)) {
      need("model.path", config_.model.path, "a Hugging Face model directory");
    }
  }

  void need_file(const std::string& key, const std::string& file) {
    std::error_code ignored;
    if (file.empty() || fs::is_regular_file(file, ignored)) return;
    fault(key, "= '" + file + "': there is no such file");
  }

  void check_files() {
    const bool trains_tokenizer = is_for(CommandName::kTrainTokenizer);
    if (trains() || is_for(CommandName::kTokenize) || trains_tokenizer) need_file("data.train", config_.data.train);
    if (kTableCommands.contains(use_.command)) need_file("data.test", config_.data.test);
    if (is_for(CommandName::kCv)) need_file("data.sample_submission", config_.data.sample_submission);
    const std::string& model = config_.model.path;
    std::error_code ignored;
    // A model is often made around the tokenizer that is yet to be trained.
    if (!trains_tokenizer && !model.empty() && !fs::is_regular_file(fs::path(model) / "config.json", ignored)) {
      fault("model.path", "= '" + model + "': there is no config.json in it; name a Hugging Face model directory");
    }
    if (!config_.run.directory.empty() && fs::exists(config_.run.directory, ignored) &&
        !fs::is_directory(config_.run.directory, ignored)) {
      faults_.push_back("--run " + config_.run.directory + ": is a file, not a directory");
    }
  }

  void check_task() {
    const bool cross_entropy = config_.loss.kind == models::LossKind::kCrossEntropy;
    check_loss_kind();
    check_classes();
    if (config_.loss.label_smoothing > 0 && !cross_entropy) {
      fault("loss.label_smoothing", "works with loss.kind = cross_entropy only; set it to 0");
    }
    check_loss_weights();
    check_pooling();
    const bool classification = config_.model.task == models::Task::kClassification;
    const auto& labels = classification ? config_.data.classes : config_.data.targets;  // classes may not be known yet
    const auto metric_problem =
        metric_fault(config_.cv.metric.name_for(config_.model.task), config_.model.task, labels);
    if (!metric_problem.empty()) fault("cv.metric", "= '" + config_.cv.metric.name + "' " + metric_problem);
    if (config_.model.task != models::Task::kRegression && (config_.cv.clip_min || config_.cv.clip_max)) {
      fault(config_.cv.clip_min ? "cv.clip_min" : "cv.clip_max", "is for regression; probabilities are within 0 and 1");
    }
    std::set<std::string> seen;
    for (const std::string& target : config_.data.targets) {
      if (!seen.insert(target).second) fault("data.targets", "names '" + target + "' twice");
      if (target == config_.data.id) fault("data.targets", "names '" + target + "', which is data.id");
      for (const std::string& column : text_columns()) {
        if (target == column) fault("data.targets", "names '" + target + "', which is a text column");
      }
      if (std::ranges::count(config_.data.features, target) > 0) {
        fault("data.targets", "names '" + target + "', which is in data.features: the model would read its answer");
      }
    }
  }

  /// An option of another pooling than the chosen one would be ignored. A kept config.ini gives every option, so only
  /// a value that is not the default counts.
  void check_pooling() {
    const ModelSection &model = config_.model, defaults;
    const auto belongs_to = [&](const char* key, bool is_changed, models::Pooling pooling) {
      if (!is_changed || model.pooling == pooling) return;
      fault(key, "is for model.pooling = " + std::string(models::name_of(pooling)) + ", which is " +
                     models::name_of(model.pooling) + "; unset one of them");
    };
    belongs_to("model.pooling_first_layer", model.pooling_first_layer != defaults.pooling_first_layer,
               models::Pooling::kWeightedLayers);
    belongs_to("model.pooling_tokens", model.pooling_tokens != defaults.pooling_tokens,
               models::Pooling::kWeightedLayers);
    belongs_to("model.pooling_layers", model.pooling_layers != defaults.pooling_layers, models::Pooling::kConcatCls);
  }

  void check_classes() {
    const auto& classes = config_.data.classes;
    if (classes.empty()) return;
    const auto columns = config_.data.targets.size();
    if (config_.model.task != models::Task::kClassification) {
      return fault("data.classes", "is for model.task = classification; unset it");
    }
    if (columns > 1 && classes.size() != columns) {
      fault("data.classes", "names " + std::to_string(classes.size()) + " classes, but data.targets names " +
                                std::to_string(columns) + " columns; give one name a column");
    }
    if (classes.size() < 2) fault("data.classes", "names one class; classification needs at least two");
    check_distinct("data.classes", classes);
  }

  void check_distinct(const std::string& key, const std::vector<std::string>& names) {
    std::set<std::string> seen;
    for (const std::string& name : names) {
      if (!seen.insert(name).second) fault(key, "names '" + name + "' twice");
    }
  }

  std::vector<std::string> own_columns() const {
    return config_.data.texts.empty() ? std::vector<std::string>{config_.data.text} : config_.data.texts;
  }

  /// Every column that texts are made of; none if the templates are at fault.
  std::set<std::string> text_columns() const {
    std::set<std::string> columns;
    try {
      for (const auto& view : data::make_templates(config_.data.templates, own_columns())) {
        for (const auto& piece : view.pieces) {
          if (piece.kind == data::TextTemplate::Piece::Kind::kColumn) columns.insert(piece.text);
        }
      }
    } catch (const std::invalid_argument&) {
      return {};
    }
    if (!config_.data.text_pair.empty()) columns.insert(config_.data.text_pair);
    return columns;
  }

  void check_texts() {
    const auto& data = config_.data;
    // A kept config.ini gives every option, data.text with its default too.
    if (!data.texts.empty() && data.text != RunConfig{}.data.text) {
      fault("data.text", "and data.texts are both given; unset one of them");
    }
    try {
      data::make_templates(data.templates, own_columns());
    } catch (const std::invalid_argument& expected) {
      return fault("data.templates", "= '" + data.templates + "': expects " + expected.what());
    }
    check_distinct("data.features", data.features);
    if (data.turns == data::Turns::kNone && !data.turn_columns.empty()) {
      fault("data.turn_columns", "needs data.turns = first, last, all or raw");
    }
    const auto columns = text_columns();
    for (const std::string& column : data.turn_columns) {
      if (!columns.empty() && !columns.contains(column)) {
        fault("data.turn_columns", "names '" + column + "', of which no text is made");
      }
    }
  }

  /// A value that nothing would use is a misunderstanding. Options of a file may be there for other commands.
  void check_truncation() {
    const TokenizerSection& tokenizer = config_.tokenizer;
    if (is_for(CommandName::kTrainTokenizer)) {
      for (const char* key : {"tokenizer.truncation", "tokenizer.head_tokens"}) {
        const auto place = places_.find(key);
        if (place != places_.end() && place->second == "--set") {
          fault(key, "has no meaning for train-tokenizer, which reads whole texts; leave it out");
        }
      }
    }
    if (!kTableCommands.contains(use_.command)) return;
    if (tokenizer.truncation == data::Truncation::Kind::kOnlySecond && config_.data.text_pair.empty()) {
      fault("tokenizer.truncation", "= only_second needs data.text_pair, the column of the second segment");
    }
    const bool has_head = tokenizer.truncation == data::Truncation::Kind::kHeadTail;
    if (has_head && !tokenizer.head_tokens) {
      fault("tokenizer.head_tokens",
            "is not set, and tokenizer.truncation = head_tail needs it: the tokens to keep from the start");
    }
    if (!has_head && tokenizer.head_tokens) {
      fault("tokenizer.head_tokens", "is for tokenizer.truncation = head_tail; unset it");
    }
    if (has_head && tokenizer.head_tokens && *tokenizer.head_tokens >= tokenizer.max_length) {
      fault("tokenizer.head_tokens", "= " + std::to_string(*tokenizer.head_tokens) +
                                         " leaves nothing of tokenizer.max_length = " +
                                         std::to_string(tokenizer.max_length) + " for the tail; set it lower");
    }
  }

  /// `weights` belong to `task`, one a column of data.targets; classes are only known from the table.
  void check_weights(const std::string& key, const std::vector<double>& weights, models::Task task) {
    if (weights.empty()) return;
    const auto columns = config_.data.targets.size();
    if (config_.model.task != task) {
      fault(key, "does not go with this model.task; unset it");
    } else if (task != models::Task::kClassification && weights.size() != columns) {
      fault(key, "has " + std::to_string(weights.size()) + " values, but data.targets names " +
                     std::to_string(columns) + " columns; give one value a column");
    } else if (std::ranges::all_of(weights, [](double weight) { return weight == 0; })) {
      fault(key, "is 0 throughout, so nothing would be learnt");
    }
  }

  void check_loss_weights() {
    check_weights("loss.class_weights", config_.loss.class_weights, models::Task::kClassification);
    check_weights("loss.positive_weight", config_.loss.positive_weight, models::Task::kMultiLabel);
    check_weights("loss.target_weights", config_.loss.target_weights, models::Task::kRegression);
  }

  /// Each task has its own losses.
  void check_loss_kind() {
    using models::LossKind, models::Task;
    const LossKind kind = config_.loss.kind;
    const Task fits = kind == LossKind::kCrossEntropy         ? Task::kClassification
                      : kind == LossKind::kBinaryCrossEntropy ? Task::kMultiLabel
                                                              : Task::kRegression;
    if (config_.model.task == fits) return;
    switch (config_.model.task) {
      case Task::kClassification:
        return fault("loss.kind", "must be cross_entropy for model.task = classification");
      case Task::kMultiLabel:
        return fault("loss.kind", "must be bce for model.task = multi_label");
      case Task::kRegression:
        return fault("loss.kind",
                     kind == LossKind::kCrossEntropy
                         ? "= cross_entropy needs model.task = classification"
                         : "= bce needs model.task = multi_label, whose targets are 0, 1 or probabilities");
    }
  }

  void check_training() {
    const auto& training = config_.training;
    check_schedule();
    if (!training.deterministic) return;
    if (training.parts == 0 || !std::has_single_bit(static_cast<unsigned>(training.parts))) {
      fault("training.parts", "= " + std::to_string(training.parts) +
                                  ", but training.deterministic needs a power of two; set it to 4, say");
    }
    if (config_.run.threads == 0) {
      fault("run.threads",
            "must be fixed for training.deterministic, since kernels change bits with it; set it to 1, say");
    }
  }

  void check_schedule() {
    const auto& schedule = config_.schedule;
    const bool is_table = schedule.kind == LearningRateCurve::kTable;
    // A kept config.ini gives every option, also the ratio with its default.
    if (schedule.warmup_steps && schedule.warmup_ratio != LearningRateSchedule{}.warmup_ratio) {
      fault("schedule.warmup_steps", "and schedule.warmup_ratio are both given; unset one of them");
    }
    if (!is_table && !schedule.table.empty()) fault("schedule.table", "needs schedule.kind = table");
    const auto& training = config_.training;
    if (is_table && training.max_steps == 0 && schedule.table.size() != static_cast<std::size_t>(training.epochs)) {
      fault("schedule.table", "has " + std::to_string(schedule.table.size()) + " values, but training.epochs = " +
                                  std::to_string(training.epochs) + "; give one value an epoch");
    }
    if (is_table && schedule.table.empty()) fault("schedule.table", "is not set; give one value an epoch");
  }

  void check_folds() {
    const auto& cv = config_.cv;
    const bool by_group = cv.strategy == FoldStrategy::kGroup || cv.strategy == FoldStrategy::kStratifiedGroup ||
                          cv.strategy == FoldStrategy::kMultilabelStratifiedGroup;
    if (by_group && config_.data.group.empty()) {
      fault("cv.strategy", "by groups needs data.group, the column whose rows stay together");
    }
    const bool one_label = cv.strategy == FoldStrategy::kStratified || cv.strategy == FoldStrategy::kStratifiedGroup;
    if (one_label && config_.model.task == models::Task::kRegression && config_.data.targets.size() > 1) {
      fault("cv.strategy", "= stratified goes by one target, and data.targets names " +
                               std::to_string(config_.data.targets.size()) + "; take multilabel_stratified" +
                               (by_group ? "_group" : ""));
    }
    if (cv.strategy == FoldStrategy::kColumn && config_.data.fold.empty()) {
      fault("cv.strategy", "= column needs data.fold, the column with each row's fold");
    }
    if (!config_.data.sample_submission.empty() && config_.data.test.empty()) {
      fault("data.sample_submission", "needs data.test, the table to predict");
    }
    const int most = std::min(cv.folds, use_.num_ranks);
    if (cv.groups > most) {
      fault("cv.groups", "= " + std::to_string(cv.groups) + " is above " + std::to_string(most) +
                             ", the smaller of folds and ranks; 0 chooses");
    }
  }

  void check_mesh() {
    const auto& mesh = config_.mesh;
    const auto& stages = config_.pipeline.stages;
    if (!stages.empty() && mesh.pipeline > 1 && stages.size() != static_cast<std::size_t>(mesh.pipeline)) {
      fault("pipeline.stages", "has " + std::to_string(stages.size()) + " values, but mesh.pipeline = " +
                                   std::to_string(mesh.pipeline) + "; give the layers of each stage");
    }
    int autos = 0;
    for (const auto& [key, size] : {std::pair{"mesh.data", mesh.data}, std::pair{"mesh.pipeline", mesh.pipeline},
                                    std::pair{"mesh.tensor", mesh.tensor}}) {
      if (size == 0 && ++autos > 1) fault(key, "= auto, but only one axis of the mesh may be auto");
      if (size > use_.num_ranks) {
        fault(key, "= " + std::to_string(size) + ", but there are " + std::to_string(use_.num_ranks) +
                       " ranks; start more with mpirun -n, or set it to auto");
      }
    }
  }

  const RunConfig& config_;
  const ConfigUse& use_;
  const SettingPlaces& places_;
  std::vector<std::string>& faults_;
};

}  // namespace

void validate(const RunConfig& config, const ConfigUse& use, const SettingPlaces& places,
              std::vector<std::string>& faults) {
  Validation(config, use, places, faults).run();
}

}  // namespace meshfold::jobs
