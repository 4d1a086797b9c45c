#pragma once
// Read models that are built again as operations of the node.

#include <string>
#include <vector>

#include "http/engine.hpp"

namespace usher::http {

/// Every read model with its lag, and the operation that builds it where there is one. Cost: as runner::status.
std::vector<projections::projection_status> projections_of(engine&);

/// Goes on with what a process before this one could not finish. Once, when the node begins to serve. @error io_failure
result<void> resume_rebuilds(engine&);

}  // namespace usher::http
