#include "data/map_input.hpp"

#include "data/error.hpp"

namespace meshfold::data {

base::MappedFile map_input(const std::filesystem::path& file) {
  try {
    return base::MappedFile(file);
  } catch (const base::UnreadableFile& error) {
    throw InputError({file.string(), {}, {}, ""}, error.problem());
  }
}

}  // namespace meshfold::data
