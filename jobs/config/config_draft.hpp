#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"
#include "jobs/config/setting.hpp"
#include "jobs/config/validate.hpp"

namespace meshfold::jobs {

/// A config while its options come in. Faults are kept until it is finished, so that all are told at once.
class ConfigDraft {
 public:
  /// The defaults, for the run directory of --run.
  explicit ConfigDraft(std::string run_directory);
  /// The values of another config, each of which counts as given.
  explicit ConfigDraft(const RunConfig& finished);

  /// Sets one option; an unknown key or a bad value is a fault.
  void set(const Setting& setting);
  /// Sets every option of an INI file; a file that cannot be read, or a key that stands in it twice, is a fault.
  void set_from_file(const std::filesystem::path& file);
  void add_fault(std::string fault) { faults_.push_back(std::move(fault)); }

  /// The values so far.
  const RunConfig& config() const { return config_; }
  /// Where the option was last set; empty if it was not.
  std::string place_of(const std::string& key) const;

  /// Fills in what follows from other options, checks everything for `use` and seals the config: its hash and its text
  /// belong to its values. Throws ConfigError with all faults.
  RunConfig finish(const ConfigUse& use) &&;
  /// The same for values that have been finished before: nothing is filled in, and no file is looked at.
  RunConfig finish_as_it_is() &&;

 private:
  bool is_given(const std::string& key) const { return all_given_ || places_.contains(key); }
  void fill_dependent_defaults();

  RunConfig config_;
  bool all_given_ = false;
  SettingPlaces places_;
  std::vector<std::string> faults_;
};

/// `config` with other values of some options, checked for `use` as if all its values had been given so. Throws
/// ConfigError with all faults, which name the settings' places.
RunConfig with_settings(const RunConfig& config, const std::vector<Setting>& settings, const ConfigUse& use);

/// A finished config as text that any rank turns back into the same config: the run directory, then config.ini.
std::string to_text(const RunConfig& config);
RunConfig from_text(const std::string& text);

}  // namespace meshfold::jobs
