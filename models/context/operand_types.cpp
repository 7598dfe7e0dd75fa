#include "models/context/operand_types.hpp"

#include <c10/core/ScalarType.h>

#include <stdexcept>
#include <string>

namespace meshfold::models::ops {

void refuse_operands(at::ScalarType type, std::string_view operation) {
  throw std::invalid_argument(std::string(operation) + " does not compute with operands of type " +
                              c10::toString(type) + "; set precision.compute to fp32 or bf16");
}

}  // namespace meshfold::models::ops
