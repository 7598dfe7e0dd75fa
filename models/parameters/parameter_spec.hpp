#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace meshfold::models {

/// A rank's piece of a tensor in the tensor's own coordinates: start and extent per dim.
struct Box {
  std::vector<std::int64_t> start;
  std::vector<std::int64_t> extent;
  bool operator==(const Box&) const = default;
};

/// Whether AdamW decays a parameter: matrices and embeddings do, biases and norms do not.
enum class Decay { kYes, kNo };
/// Whether a low-precision copy is kept for matrix products.
enum class ComputeCopy { kYes, kNo };

/// Which rows a parameter meets on a tensor axis, where the rows of tokens are shared between matrix products.
enum class Region {
  kTokens,   ///< this rank's rows: the gradient of a parameter that is whole on every rank is a part of a sum over them
  kSamples,  ///< pooled rows, the same on every rank, and so are gradients
};

/// How a tensor gets its values when no file gives them.
enum class Initializer { kNormal, kZeros, kOnes };

/// What a parameter is for in its network, whatever a model's files call it.
enum class Role {
  kNone,             ///< the network is not made of the parts below
  kEmbedding,        ///< tables that are looked up, and what projects their rows to the hidden size
  kNorm,             ///< of embeddings and layers
  kQueryKeyValue,    ///< projections into attention, also those of relative embeddings
  kAttentionOutput,  ///< projection out of attention
  kIntermediate,     ///< first product of the feed-forward block
  kOutput,           ///< its last product
  kPooler,           ///< everything that makes one vector of a text
  kClassifier,
};

struct ParameterSpec {
  std::string name;  ///< the Hugging Face name
  std::vector<std::int64_t> global_shape;
  Box box;  ///< this rank's piece; the whole tensor when empty
  Decay decay = Decay::kYes;
  ComputeCopy compute_copy = ComputeCopy::kNo;
  Initializer initializer = Initializer::kNormal;
  /// What a layout may not cut through, in elements per dim (the width of a head); empty: 1 everywhere.
  std::vector<std::int64_t> units = {};
  Region region = Region::kTokens;
  Role role = Role::kNone;
  std::optional<std::int64_t> layer = {};  ///< of the backbone; none: before layer 0, or of the head
  double rate = 1.0;                       ///< share of the learning rate; 0: frozen, no gradient reaches it

  bool is_of_head() const { return role == Role::kPooler || role == Role::kClassifier; }
  /// Whether it belongs to one of the layers first .. end - 1.
  bool is_in_layers(std::int64_t first, std::int64_t end) const { return layer && *layer >= first && *layer < end; }
  /// Whether this rank holds only a part of it.
  bool sharded() const { return box.extent != global_shape; }
  /// Whether, on a tensor axis of several ranks, each has a part of its gradient's sum ("partial over tensor").
  bool gradient_is_partial() const { return region == Region::kTokens && !sharded(); }
};

}  // namespace meshfold::models
