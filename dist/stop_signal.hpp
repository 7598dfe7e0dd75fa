#pragma once

#include <signal.h>

#include <array>

namespace meshfold::dist {

/// While it lives, USR1, USR2 and TERM ask for a stop at the next step boundary instead of ending the process; the
/// former dispositions come back with the destructor. One at a time, made by main. The handler only sets a flag.
class StopSignals {
 public:
  StopSignals();  ///< Forgets earlier requests. Throws system_error.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  std::array<struct sigaction, 3> before_;
};

/// Whether one of the signals came since StopSignals was made.
bool stop_signal_received();

}  // namespace meshfold::dist
