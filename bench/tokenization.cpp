// One thread tokenizes a column of a table; bench/tokenization.py runs it beside Hugging Face tokenizers.
//   tokenization_bench TABLE COLUMN MODEL_DIRECTORY MAX_LENGTH IDS
// Prints the processor time of one pass in seconds, and writes the ids to the file IDS: a line a text.

#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/processor_time.hpp"
#include "data/table.hpp"
#include "data/tokenizer.hpp"

namespace meshfold {
namespace {

void run(const std::string& table_file, const std::string& column_name, const std::string& model,
         std::size_t max_length, const std::string& ids_file) {
  const auto table = data::open_table(table_file);
  const std::size_t column = table->column(column_name);
  std::vector<std::string> texts;
  for (std::size_t row = 0; row < table->num_rows(); ++row) texts.push_back(table->cell(row, column));
  const auto tokenizer = data::load_tokenizer(model);
  std::vector<data::EncodedInput> inputs(texts.size());

  const double start = bench::processor_seconds();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    inputs[i] = data::encode_input(*tokenizer, texts[i], nullptr, {.max_length = max_length});
  }
  std::printf("%.6f\n", bench::processor_seconds() - start);

  std::ofstream out(ids_file);
  for (const data::EncodedInput& input : inputs) {
    for (const std::int32_t id : input.ids) out << id << ' ';
    out << '\n';
  }
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: tokenization_bench TABLE COLUMN MODEL_DIRECTORY MAX_LENGTH IDS\n");
    return 2;
  }
  try {
    meshfold::run(argv[1], argv[2], argv[3], std::stoul(argv[4]), argv[5]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenization_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
