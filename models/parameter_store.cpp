#include "models/parameter_store.hpp"
