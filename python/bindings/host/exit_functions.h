// Python's exit functions (the atexit module), where the interpreter is never finalized.
#pragma once

namespace leman::host {

/// From now on RunBeforeExit has an effect: this library started the interpreter, and nobody else ends it.
void OwnInterpreter();

/// Sees to it that the exit functions run when the program exits, before the destructors of all libraries that are
/// loaded now: Ray for one stops what it started, and must do so first. To be called again when libraries may have been
/// loaded.
void RunBeforeExit();

}  // namespace leman::host
