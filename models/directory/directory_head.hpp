#pragma once

#include <optional>

#include "models/directory/architecture.hpp"
#include "models/files/config_json.hpp"
#include "models/networks/model.hpp"

namespace meshfold::models {

inline constexpr const char* kHeadFile = "head.safetensors";  ///< of a head of ours: classifier.weight, classifier.bias

/// Whether transformers has no sequence classifier for this head, so that it is kept in a file of its own.
bool has_own_file(const HeadConfig& head);
/// Whether two heads make a text's vector in one way, so that a classifier of the one can read that of the other.
bool same_pooling(const HeadConfig& a, const HeadConfig& b);

/// The head that a directory's config.json describes: ours (`meshfold_head`) or that of transformers' sequence
/// classifier. nullopt for a bare backbone. Throws ModelFileError for a head that is described
/// but not supported.
std::optional<HeadConfig> read_head(const ConfigJson& config, const Architecture& architecture);

/// Describes `head` in a config.json that is to be exported, and takes out what described another.
void write_head(const HeadConfig& head, const Architecture& architecture, ConfigJson& config);

}  // namespace meshfold::models
