// Memory for large outputs, and the Python object that owns a piece of it: see buffers.cpp.
#pragma once

#include <nanobind/nanobind.h>

namespace crossent {

// Adds Buffer and the functions of the pool to the module.
void bind_buffers(nanobind::module_& m);

}  // namespace crossent
