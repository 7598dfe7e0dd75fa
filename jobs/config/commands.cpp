#include "jobs/config/commands.hpp"

namespace meshfold::jobs {

std::string CommandSet::to_string() const {
  std::string text;
  for (std::size_t i = 0; i < kCommandWords.size(); ++i) {
    if (contains(static_cast<CommandName>(i))) text.append(text.empty() ? "" : " ").append(kCommandWords[i]);
  }
  return text;
}

}  // namespace meshfold::jobs
