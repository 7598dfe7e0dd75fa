// Encodes the texts of one CSV column with a model directory's tokenizer and writes their ids as 32-bit numbers, each
// text's behind their count: bench/compare_tokenizer.py compares them. Prints the time that encoding took.

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>

#include "data/table.hpp"
#include "data/tokenizer.hpp"

namespace {

using namespace meshfold;

void run(const char* directory, const char* table_file, const char* column_name, const char* out_file) {
  const auto tokenizer = data::load_tokenizer(directory);
  const auto table = data::open_table(table_file);
  const std::size_t column = table->column(column_name);
  std::vector<std::string> texts;
  for (std::size_t row = 0; row < table->num_rows(); ++row) texts.push_back(table->cell(row, column));

  std::vector<std::vector<std::int32_t>> ids(texts.size());
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < texts.size(); ++i) tokenizer->encode(texts[i], ids[i]);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  std::ofstream out(out_file, std::ios::binary);
  for (const auto& of_text : ids) {
    const auto count = static_cast<std::int32_t>(of_text.size());
    out.write(reinterpret_cast<const char*>(&count), sizeof count);
    out.write(reinterpret_cast<const char*>(of_text.data()), static_cast<std::streamsize>(of_text.size() * 4));
  }
  std::printf("%.3f\n", elapsed.count());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "tokenizer_ids MODEL_DIRECTORY TABLE COLUMN OUT\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3], argv[4]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_ids: %s\n", error.what());
    return 1;
  }
}
