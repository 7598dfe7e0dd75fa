#pragma once

#include <string>

namespace meshfold::jobs {

/// One `key = value` on its way into a config, with the place for messages.
struct Setting {
  std::string key;    ///< "training.epochs": section, dot, key
  std::string value;  ///< as the option's parser takes it: trimmed, without comment and quotes
  std::string place;  ///< "vader.ini:12", "--set"
};

}  // namespace meshfold::jobs
