// Which kernel tables this build has, which of them this machine can run, and which one is in use.
#pragma once

#include "kernels.hpp"

namespace crossent {

constexpr int kMaxTables = 3;

// Fills names with the tables that this machine can run, slowest first; returns their number.
int available_tables(const char* names[kMaxTables]);

// Makes the named table the one in use; false if this build or machine lacks it.
bool select_table(const char* name);

const KernelTable& table();

}  // namespace crossent
