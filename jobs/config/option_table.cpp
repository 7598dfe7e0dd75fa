#include "jobs/config/option_builders.hpp"
#include "models/networks/task_names.hpp"

namespace meshfold::jobs {
namespace {

using enum CommandName;

constexpr CommandSet kFitting = kTrainingCommands, kMeshes = kMeshCommands, kReading = kTableCommands;
constexpr CommandSet kComputing = {kCv, kTrain, kPredict};
constexpr CommandSet kWithModel = {kCv, kTrain, kPredict, kExport, kTokenize};
constexpr CommandSet kRanks = {kCv, kTrain, kPredict, kExport, kTokenize, kSelftest};
constexpr CommandSet kTexts = {kCv, kTrain, kPredict, kTokenize, kTrainTokenizer};
constexpr CommandSet kTokenizer = {kTrainTokenizer};

#define MEMBER(path) \
  [](auto& c) -> auto& { return c.path; }

std::vector<Option> run_options() {
  return {
      integer("run.seed", MEMBER(run.seed), at_least(0), Kind::kTraining, kWithModel,
              "folds, sample order, dropout and fresh weights all follow from it"),
      choice("run.device", MEMBER(run.device),
             Names<DeviceChoice>{
                 {"auto", DeviceChoice::kAuto}, {"cpu", DeviceChoice::kCpu}, {"cuda", DeviceChoice::kCuda}},
             Kind::kLayout, kMeshes,
             "where the ranks compute; auto: on GPUs if any rank sees one, each with one of its own"),
      integer("run.threads", MEMBER(run.threads), at_least(0), Kind::kLayout, kRanks,
              "threads per rank; 0: usable cores / ranks that share them"),
      number("run.deadline_s", MEMBER(run.deadline_s), above(0), Kind::kLayout, kRanks, "longest wait on another rank",
             {.unit = "s"}),
      number("run.heartbeat_s", MEMBER(run.heartbeat_s), at_least(0), Kind::kLayout, kRanks,
             "silence of another rank (stopped, its machine or link down) that ends the run; 0: not watched",
             {.unit = "s"}),
      flag("run.check_calls", MEMBER(run.check_calls), Kind::kLayout, kMeshes,
           "compare every exchange between the ranks before it is made, and name those that differ; slow"),
  };
}

std::vector<Option> data_options() {
  using data::Turns;
  return {
      text("data.train", "CSV or JSON Lines file", MEMBER(data.train), Kind::kData,
           {kCv, kTrain, kTokenize, kTrainTokenizer}, "table to train on"),
      text("data.test", "CSV or JSON Lines file", MEMBER(data.test), Kind::kData, kReading, "table to predict"),
      text("data.id", "column name", MEMBER(data.id), Kind::kData, kReading, "column of unique ids"),
      text("data.text", "column name", MEMBER(data.text), Kind::kData, kTexts, "column of the text"),
      names(
          "data.texts", "column names", MEMBER(data.texts), Kind::kData, kReading,
          "several texts a row (views), one a column; the model reads each by itself and its head reads them together",
          {.default_note = "data.text alone"}),
      checked(text("data.templates", "texts with {column}, between bars", MEMBER(data.templates), Kind::kData, kReading,
                   "what each view is made of: Q: {prompt}\\n{response_a} | ...; {} is the view's own column, and one "
                   "template serves all views; {{ }} \\| \\n \\t \\s (blank) \\\\ are signs",
                   {.default_note = "the columns themselves"}),
              [](const std::string& value) {
                // Bars, braces and escapes; which columns there must be depends on the other options.
                if (!value.empty()) data::parse_templates(value);
              }),
      text("data.text_pair", "column name", MEMBER(data.text_pair), Kind::kData, kTexts,
           "column of a second segment, the same for every view"),
      choice(
          "data.turns", MEMBER(data.turns),
          Names<Turns>{{"none", Turns::kNone},
                       {"raw", Turns::kRaw},
                       {"first", Turns::kFirst},
                       {"last", Turns::kLast},
                       {"all", Turns::kAll}},
          Kind::kData, kReading,
          "text columns hold conversations, each a JSON list of strings and nulls: take one turn, or all, or the JSON "
          "as it is written (raw); none: they hold plain text"),
      names("data.turn_columns", "column names", MEMBER(data.turn_columns), Kind::kData, kReading,
            "which columns hold conversations", {.default_note = "all text columns, unless data.turns = none"}),
      checked(text("data.turn_joiner", "text", MEMBER(data.turn_joiner), Kind::kData, kReading,
                   "between the turns (data.turns = all); escapes as in data.templates"),
              [](const std::string& value) { data::unescape(value); }),
      names("data.features", "column names", MEMBER(data.features), Kind::kData, kReading,
            "numbers beside the text, standardised by the job's training rows and given to the head"),
      names("data.targets", "column names", MEMBER(data.targets), Kind::kData, kFitting,
            "values (regression); one column of class names, or a column of shares for each class, which add up to 1 "
            "(classification); a column of 0, 1 or probabilities for each label (multi_label)"),
      names("data.classes", "class names", MEMBER(data.classes), Kind::kData, kFitting,
            "the classes in their order, or other names for the columns of data.targets (classification)",
            {.default_note = "the class column's names, sorted by bytes; or data.targets"}),
      text("data.group", "column name", MEMBER(data.group), Kind::kData, kFitting,
           "rows of one group share a fold (cv.strategy = group)"),
      text("data.fold", "column name", MEMBER(data.fold), Kind::kData, kFitting,
           "fold of each row (cv.strategy = column); train validates on the rows of fold 0"),
      choice("data.empty_text", MEMBER(data.empty_text),
             Names<EmptyText>{{"error", EmptyText::kError}, {"keep", EmptyText::kKeep}}, Kind::kData, kReading,
             "what a row without text means"),
      text("data.sample_submission", "CSV or JSON Lines file", MEMBER(data.sample_submission), Kind::kOutput, {kCv},
           "submission.csv follows its header and ids"),
      integer("data.sample_rows", MEMBER(data.sample_rows), at_least(0), Kind::kData, {kCv, kTrain, kTokenize},
              "rows of data.train to use, drawn by run.seed, at least one of each class and fold; 0: all",
              {.unit = "rows"}),
      choice("data.read", MEMBER(data.read),
             Names<data::Dataset::Read>{{"mapped", data::Dataset::Read::kMapped},
                                        {"memory", data::Dataset::Read::kMemory}},
             Kind::kLayout, kReading, "map the tokenized file, or copy it into memory (network file systems)"),
      text("data.cache", "directory", MEMBER(data.cache), Kind::kOutput, kReading, "where tokenized tables are kept",
           {.default_note = "<run>/data"}),
      integer("tokenizer.max_length", MEMBER(tokenizer.max_length), at_least(3), Kind::kData, kReading,
              "longer texts are cut; special tokens count", {.unit = "tokens"}),
      choice("tokenizer.truncation", MEMBER(tokenizer.truncation),
             Names<data::Truncation::Kind>(data::kTruncationNames.begin(), data::kTruncationNames.end()), Kind::kData,
             kReading,
             "what longer texts lose: the end of the longer segment, of the second one (data.text_pair) alone, or the "
             "middle of each segment"),
      optional_integer("tokenizer.head_tokens", MEMBER(tokenizer.head_tokens), at_least(1), Kind::kData, kReading,
                       "tokens of a cut segment that come from its start, the others from its end (head_tail)",
                       {.unit = "tokens"}),
  };
}

/// What train-tokenizer reads. Kind::kOutput: they do not touch what other commands compute.
std::vector<Option> tokenizer_options() {
  using Family = data::SentencePieceTokenizer::Family;
  using Pieces = data::SentencePieceTraining::Model;
  return {
      names("tokenizer.columns", "column names", MEMBER(tokenizer.columns), Kind::kOutput, kTokenizer,
            "columns whose texts the tokenizer is trained on", {.default_note = "data.text and data.text_pair"}),
      text("tokenizer.output", "directory", MEMBER(tokenizer.output), Kind::kOutput, kTokenizer,
           "where the tokenizer's files are written", {.default_note = "<run>/tokenizer"}),
      choice("tokenizer.layout", MEMBER(tokenizer.training.family),
             Names<Family>{{"deberta", Family::kDeberta}, {"decoder", Family::kDecoder}}, Kind::kOutput, kTokenizer,
             "special tokens: [PAD] 0, [CLS] 1, [SEP] 2, [UNK] 3 and [MASK] after the pieces, or <pad> 0, <eos> 1, "
             "<bos> 2, <unk> 3"),
      choice("tokenizer.pieces", MEMBER(tokenizer.training.model),
             Names<Pieces>{{"unigram", Pieces::kUnigram}, {"bpe", Pieces::kBpe}}, Kind::kOutput, kTokenizer,
             "how the pieces are found"),
      integer("tokenizer.vocabulary_size", MEMBER(tokenizer.training.vocabulary_size), at_least(5), Kind::kOutput,
              kTokenizer, "special tokens among them", {.unit = "pieces"}),
      number("tokenizer.character_coverage", MEMBER(tokenizer.training.character_coverage), between(0.9, 1),
             Kind::kOutput, kTokenizer, "share of the text's characters that become pieces"),
      flag("tokenizer.byte_fallback", MEMBER(tokenizer.training.byte_fallback), Kind::kOutput, kTokenizer,
           "characters without a piece become bytes instead of the unknown token"),
  };
}

std::vector<Option> model_options() {
  using models::LossKind, models::Pooling, models::Task;
  const Range probability = from_to_below(0, 1);
  return {
      text("model.path", "directory", MEMBER(model.path), Kind::kTraining, kWithModel,
           "Hugging Face model directory: config.json, model.safetensors, tokenizer files"),
      choice("model.task", MEMBER(model.task), Names<Task>(models::kTaskNames.begin(), models::kTaskNames.end()),
             Kind::kTraining, kFitting,
             "what the targets are: values, one of several classes, or each label yes or no"),
      choice("model.pooling", MEMBER(model.pooling),
             Names<Pooling>(models::kPoolingNames.begin(), models::kPoolingNames.end()), Kind::kTraining, kFitting,
             "how token vectors become one vector; weighted_layers: a learnt mean of the hidden states, concat_cls: "
             "the first token of several"),
      integer("model.pooling_first_layer", MEMBER(model.pooling_first_layer), at_least(0), Kind::kTraining, kFitting,
              "lowest hidden state of weighted_layers; 0 is the embeddings'"),
      choice("model.pooling_tokens", MEMBER(model.pooling_tokens),
             Names<Pooling>{{"cls", Pooling::kCls}, {"mean", Pooling::kMean}}, Kind::kTraining, kFitting,
             "what weighted_layers takes of each state: the first token, or the mean over tokens"),
      integer("model.pooling_layers", MEMBER(model.pooling_layers), at_least(1), Kind::kTraining, kFitting,
              "how many of the last hidden states concat_cls reads"),
      integer("model.dropout_samples", MEMBER(model.dropout_samples), between(1, 1000), Kind::kTraining, kFitting,
              "dropout masks before the classifier, over whose outputs the mean is taken"),
      optional_number("model.hidden_dropout", MEMBER(model.dropout.hidden), probability, Kind::kTraining, kFitting,
                      "dropout of hidden states", {.default_note = "config.json"}),
      optional_number("model.attention_dropout", MEMBER(model.dropout.attention), probability, Kind::kTraining,
                      kFitting, "dropout of attention weights", {.default_note = "config.json"}),
      optional_number("model.head_dropout", MEMBER(model.head_dropout), probability, Kind::kTraining, kFitting,
                      "dropout before the classifier", {.default_note = "config.json"}),
      integer("model.reinit_layers", MEMBER(model.reinit_layers), at_least(0), Kind::kTraining, kFitting,
              "top layers that start from fresh weights instead of the directory's", {.unit = "layers"}),
      flag("freeze.embeddings", MEMBER(layer_rates.freeze_embeddings), Kind::kTraining, kFitting,
           "what comes before the first layer keeps its weights; relative embeddings too"),
      integer("freeze.lower_layers", MEMBER(layer_rates.freeze_lower_layers), at_least(0), Kind::kTraining, kFitting,
              "lowest layers that keep their weights", {.unit = "layers"}),
      choice("loss.kind", MEMBER(loss.kind),
             Names<LossKind>{{"mse", LossKind::kMeanSquaredError},
                             {"mae", LossKind::kMeanAbsoluteError},
                             {"smooth_l1", LossKind::kSmoothL1},
                             {"rmse", LossKind::kRmse},
                             {"mcrmse", LossKind::kMcrmse},
                             {"rmse_elementwise", LossKind::kElementwiseRmse},
                             {"cross_entropy", LossKind::kCrossEntropy},
                             {"bce", LossKind::kBinaryCrossEntropy}},
             Kind::kTraining, kFitting,
             "what training makes small; rmse and mcrmse (mean over targets of the step's root mean squared error) "
             "need a second forward pass where a rank has several packs",
             {.default_note = "mse; cross_entropy for classification; bce for multi_label"}),
      number("loss.label_smoothing", MEMBER(loss.label_smoothing), probability, Kind::kTraining, kFitting,
             "share of each label spread over all classes (cross_entropy)"),
      number("loss.beta", MEMBER(loss.beta), above(0), Kind::kTraining, kFitting,
             "where smooth_l1 turns from quadratic to linear"),
      numbers("loss.class_weights", MEMBER(loss.class_weights), above(0), Kind::kTraining, kFitting,
              "weight of each class, in the order of the class names (cross_entropy); empty: all 1"),
      numbers("loss.positive_weight", MEMBER(loss.positive_weight), at_least(0), Kind::kTraining, kFitting,
              "weight of each label's positive samples, in the order of data.targets (bce); empty: all 1"),
      numbers("loss.target_weights", MEMBER(loss.target_weights), at_least(0), Kind::kTraining, kFitting,
              "weight of each target in means over targets, in the order of data.targets (regression); empty: all 1"),
  };
}

std::vector<Option> training_options() {
  return {
      choice("optimizer.kind", MEMBER(optimizer.kind),
             Names<OptimizerKind>{{"adamw", OptimizerKind::kAdamW}, {"sgd", OptimizerKind::kSgd}}, Kind::kTraining,
             kFitting, "AdamW, or plain stochastic gradient descent"),
      number("optimizer.learning_rate", MEMBER(optimizer.learning_rate), above(0), Kind::kTraining, kFitting,
             "peak learning rate"),
      number("optimizer.layer_decay", MEMBER(layer_rates.decay), Range{0, 1, true, false}, Kind::kTraining, kFitting,
             "factor of the learning rate from a layer to the one below it: the head has 1, the top layer this, the "
             "embeddings the least"),
      number("optimizer.weight_decay", MEMBER(optimizer.weight_decay), at_least(0), Kind::kTraining, kFitting,
             "decoupled weight decay; biases and norms are left out"),
      number("optimizer.beta1", MEMBER(optimizer.beta1), from_to_below(0, 1), Kind::kTraining, kFitting,
             "decay of the first moment"),
      number("optimizer.beta2", MEMBER(optimizer.beta2), from_to_below(0, 1), Kind::kTraining, kFitting,
             "decay of the second moment"),
      number("optimizer.epsilon", MEMBER(optimizer.epsilon), above(0), Kind::kTraining, kFitting,
             "added to the root of the second moment"),
      choice("schedule.kind", MEMBER(schedule.kind),
             Names<LearningRateCurve>{{"linear", LearningRateCurve::kLinear},
                                      {"constant", LearningRateCurve::kConstant},
                                      {"cosine", LearningRateCurve::kCosine},
                                      {"cosine_restarts", LearningRateCurve::kCosineRestarts},
                                      {"polynomial", LearningRateCurve::kPolynomial},
                                      {"table", LearningRateCurve::kTable},
                                      {"ramp_hold_decay", LearningRateCurve::kRampHoldDecay}},
             Kind::kTraining, kFitting, "how the learning rate goes on after the warm-up"),
      number("schedule.warmup_ratio", MEMBER(schedule.warmup_ratio), between(0, 1), Kind::kTraining, kFitting,
             "share of all steps in which the learning rate rises from 0; not for table and ramp_hold_decay"),
      optional_integer("schedule.warmup_steps", MEMBER(schedule.warmup_steps), at_least(0), Kind::kTraining, kFitting,
                       "steps of the warm-up, instead of schedule.warmup_ratio", {.unit = "steps"}),
      optional_number("schedule.num_cycles", MEMBER(schedule.num_cycles), above(0), Kind::kTraining, kFitting,
                      "waves of cosine, or half waves of cosine_restarts",
                      {.default_note = "0.5; 1 for cosine_restarts"}),
      number("schedule.power", MEMBER(schedule.power), above(0), Kind::kTraining, kFitting, "exponent of polynomial"),
      number("schedule.end_ratio", MEMBER(schedule.end_ratio), between(0, 1), Kind::kTraining, kFitting,
             "share of the learning rate at which polynomial ends and to which ramp_hold_decay tends"),
      numbers("schedule.table", MEMBER(schedule.table), at_least(0), Kind::kTraining, kFitting,
              "share of the learning rate in each epoch (table)"),
      number("schedule.ramp_start", MEMBER(schedule.ramp_start), between(0, 1), Kind::kTraining, kFitting,
             "share of the learning rate in the first epoch (ramp_hold_decay)"),
      integer("schedule.ramp_epochs", MEMBER(schedule.ramp_epochs), at_least(0), Kind::kTraining, kFitting,
              "epochs until the full learning rate (ramp_hold_decay)", {.unit = "epochs"}),
      integer("schedule.hold_epochs", MEMBER(schedule.hold_epochs), at_least(0), Kind::kTraining, kFitting,
              "epochs at the full learning rate before it decays (ramp_hold_decay)", {.unit = "epochs"}),
      number("schedule.decay", MEMBER(schedule.decay), between(0, 1), Kind::kTraining, kFitting,
             "factor of each epoch after that (ramp_hold_decay)"),
      optional_integer("plateau.patience", MEMBER(plateau.patience), at_least(0), Kind::kTraining, kFitting,
                       "evaluations without improvement borne before the learning rate is lowered",
                       {.unit = "evaluations", .default_note = "never"}),
      number("plateau.factor", MEMBER(plateau.factor), from_to_below(0, 1), Kind::kTraining, kFitting,
             "what it is lowered by"),
      number("plateau.threshold", MEMBER(plateau.threshold), at_least(0), Kind::kTraining, kFitting,
             "relative gain of the score that counts as improvement"),
      integer("plateau.cooldown", MEMBER(plateau.cooldown), at_least(0), Kind::kTraining, kFitting,
              "evaluations after a lowering that do not count", {.unit = "evaluations"}),
      number("plateau.min_ratio", MEMBER(plateau.min_ratio), between(0, 1), Kind::kTraining, kFitting,
             "all lowerings together go no further than this share"),
      integer("training.epochs", MEMBER(training.epochs), at_least(1), Kind::kTraining, kFitting,
              "passes over the training rows"),
      integer("training.max_steps", MEMBER(training.max_steps), at_least(0), Kind::kTraining, kFitting,
              "ends training early, and the schedule with it; 0: no limit", {.unit = "steps"}),
      integer("training.batch_size", MEMBER(training.batch_size), at_least(1), Kind::kTraining, kFitting,
              "samples of one optimizer step, over all ranks of the job", {.unit = "samples"}),
      integer("training.parts", MEMBER(training.parts), at_least(0), Kind::kLayout, kFitting,
              "packs a step is cut into; 0: as few as max_tokens_per_pack allows", {.unit = "packs"}),
      integer("training.max_tokens_per_pack", MEMBER(training.max_tokens_per_pack), at_least(1), Kind::kLayout,
              kFitting, "bounds memory when training.parts = 0", {.unit = "tokens"}),
      flag("training.deterministic", MEMBER(training.deterministic), Kind::kTraining, kFitting,
           "the same bits on 1, 2, 4 ... data ranks; needs training.parts and run.threads"),
      choice("training.recompute", MEMBER(training.recompute),
             Names<models::Recompute>{{"none", models::Recompute::kNone}, {"layers", models::Recompute::kLayers}},
             Kind::kLayout, kFitting,
             "layers: keep only each layer's input and compute it again in backward; same bits, less memory"),
      flag("training.drop_last", MEMBER(training.drop_last), Kind::kTraining, kFitting,
           "leave out an epoch's last step if it is short"),
      number("training.max_grad_norm", MEMBER(training.max_grad_norm), at_least(0), Kind::kTraining, kFitting,
             "gradients are scaled down to this norm; 0: never"),
      integer("training.eval_every_steps", MEMBER(training.eval_every_steps), at_least(0), Kind::kTraining, kFitting,
              "steps between evaluations, beside those at epoch ends; 0: at epoch ends only", {.unit = "steps"}),
      integer("training.early_stopping_patience", MEMBER(training.early_stopping.patience), at_least(0),
              Kind::kTraining, kFitting, "evaluations without improvement after which training ends; 0: never",
              {.unit = "evaluations"}),
      number("training.early_stopping_min_delta", MEMBER(training.early_stopping.min_delta), at_least(0),
             Kind::kTraining, kFitting, "gain of the score that counts as improvement"),
      precision("precision.compute", MEMBER(precision), Kind::kTraining, kComputing,
                "matrix products; auto takes bf16 where the first rank's CPU multiplies bf16 faster, else fp32"),
  };
}

std::vector<Option> layout_options() {
  return {
      axis_size("mesh.data", MEMBER(mesh.data), "data ranks of a job: each computes its share of a step's packs"),
      axis_size("mesh.pipeline", MEMBER(mesh.pipeline), "pipeline stages of a job"),
      axis_size("mesh.tensor", MEMBER(mesh.tensor), "tensor ranks of a job: each holds its share of the matrices"),
      flag("mesh.shard_optimizer", MEMBER(mesh.shard_optimizer), Kind::kLayout, kFitting,
           "data ranks keep optimizer states for their share of the parameters only (ZeRO-1)"),
      number("mesh.bucket_mib", MEMBER(mesh.bucket_mib), at_least(0), Kind::kLayout, kFitting,
             "gradients are exchanged over the data axis in parts of at least this size, each as soon as the last "
             "pack's backward has passed it",
             {.unit = "MiB"}),
      choice("pipeline.schedule", MEMBER(pipeline.schedule),
             Names<PipelineOrder>{{"1f1b", PipelineOrder::kOneForwardOneBackward}, {"gpipe", PipelineOrder::kGpipe}},
             Kind::kLayout, kFitting,
             "order of a stage's work; 1f1b: goes back with a pack as soon as it can, least memory; gpipe: all packs "
             "forward, then all back"),
      integers("pipeline.stages", MEMBER(pipeline.stages), at_least(1), Kind::kLayout, kFitting,
               "layers of each pipeline stage; none: balanced by cost"),
      layout_rules(
          "layout.rules", MEMBER(layout.rules), Kind::kLayout, kComputing,
          "how parameters are cut over the tensor axis: `expression -> dims`, separated by `;`; each dim is -, "
          "tensor or tensor~ (need not divide)"),
  };
}

std::vector<Option> cv_options() {
  return {
      integer("cv.folds", MEMBER(cv.folds), between(2, 1000), Kind::kTraining, {kCv}, "number of folds",
              {.unit = "folds"}),
      choice("cv.strategy", MEMBER(cv.strategy),
             Names<FoldStrategy>{{"kfold", FoldStrategy::kKFold},
                                 {"group", FoldStrategy::kGroup},
                                 {"column", FoldStrategy::kColumn},
                                 {"stratified", FoldStrategy::kStratified},
                                 {"multilabel_stratified", FoldStrategy::kMultilabelStratified},
                                 {"stratified_group", FoldStrategy::kStratifiedGroup},
                                 {"multilabel_stratified_group", FoldStrategy::kMultilabelStratifiedGroup}},
             Kind::kTraining, {kCv},
             "rows at random, whole groups of data.group, as data.fold says, or so that the class (multilabel_: every "
             "target) has the same shares in each fold, of rows or of groups"),
      integer("cv.bins", MEMBER(cv.bins), between(2, 1000), Kind::kTraining, {kCv},
              "bins that regression targets are cut into for stratified folds", {.unit = "bins"}),
      integer("cv.groups", MEMBER(cv.groups), at_least(0), Kind::kLayout, {kCv},
              "groups of ranks that run folds side by side; 0: the smaller of folds and ranks", {.unit = "groups"}),
      choice("cv.select", MEMBER(cv.select), Names<Select>{{"best", Select::kBest}, {"last", Select::kLast}},
             Kind::kTraining, kFitting, "which epoch's weights predict: the best on the validation rows, or the last"),
      text("cv.metric", "metric or metric/label", MEMBER(cv.metric.name), Kind::kTraining, kFitting,
           "score that says which weights and which fold are best, when to stop early and when to lower the learning "
           "rate; docs/numerics.md lists them",
           {.default_note = "mcrmse; log_loss for classification and multi_label"}),
      choice("cv.metric_mode", MEMBER(cv.metric.mode),
             Names<MetricMode>{{"auto", MetricMode::kAuto}, {"min", MetricMode::kMin}, {"max", MetricMode::kMax}},
             Kind::kTraining, kFitting, "whether a smaller or a larger score is better; auto knows it of each metric"),
      optional_number("cv.clip_min", MEMBER(cv.clip_min), any_number(), Kind::kOutput, {kCv, kPredict},
                      "smallest predicted value that is written"),
      optional_number("cv.clip_max", MEMBER(cv.clip_max), any_number(), Kind::kOutput, {kCv, kPredict},
                      "largest predicted value that is written"),
  };
}

std::vector<Option> output_options() {
  return {
      integer("checkpoint.every_steps", MEMBER(checkpoint.every_steps), at_least(0), Kind::kOutput, kFitting,
              "commit a checkpoint every so many steps, besides each epoch's end; 0: epoch ends only",
              {.unit = "steps"}),
      integer("checkpoint.keep_last", MEMBER(checkpoint.keep_last), at_least(1), Kind::kOutput, kFitting,
              "checkpoints kept besides the best"),
      choice("predict.output", MEMBER(predict.output),
             Names<PredictOutput>{{"value", PredictOutput::kValue},
                                  {"probability", PredictOutput::kProbability},
                                  {"logits", PredictOutput::kLogits}},
             Kind::kOutput, {kPredict}, "what pred_ columns hold",
             {.default_note = "value; probability for classification and multi_label"}),
      integer("predict.max_tokens_per_pack", MEMBER(predict.max_tokens_per_pack), at_least(1), Kind::kLayout,
              kComputing, "bounds memory of evaluation and prediction", {.unit = "tokens"}),
      text("export.path", "directory", MEMBER(export_path), Kind::kOutput, {kExport}, "where the model is written",
           {.default_note = "<run>/model"}),
      text("export.job", "job name", MEMBER(export_job), Kind::kOutput, {kExport}, "whose weights: fold-0, train",
           {.default_note = "the best fold, or train"}),
      integer("log.every_steps", MEMBER(log.every_steps), at_least(1), Kind::kOutput, kFitting,
              "how often metrics.jsonl gets a train line", {.unit = "steps"}),
      flag("log.tensorboard", MEMBER(log.tensorboard), Kind::kOutput, kFitting,
           "write TensorBoard event files beside metrics.jsonl"),
  };
}

#undef MEMBER

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = [] {
    std::vector<Option> all;
    for (const auto& part : {run_options(), data_options(), tokenizer_options(), model_options(), training_options(),
                             layout_options(), cv_options(), output_options()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

}  // namespace meshfold::jobs
