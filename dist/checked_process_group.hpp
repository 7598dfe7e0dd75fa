#pragma once

#include <memory>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// A group that finds calls which do not match: before each collective the ranks exchange its description (number of
/// the call, verb, dtype, shape, root, shards), and before each message the sender tells the receiver what comes. Where
/// they differ, every rank throws CallMismatch, which says which ranks were about to do what:
///
///     'tensor axis of train', call 12: the ranks differ: rank 0 calls all_reduce (sum) of float [3, 4]; ranks 1, 2
///     call barrier
///
/// One small exchange a call, so it is for finding mistakes. A rank that makes no call at all is not a difference: it
/// ends in PeerLost as ever. Tags of send and receive lie in [0, kMaxUserTag / 2].
std::unique_ptr<ProcessGroup> make_checked_process_group(std::unique_ptr<ProcessGroup> group);

}  // namespace meshfold::dist
