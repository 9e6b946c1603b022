//! The one way to the engine: bounded work on a pool of threads, admitted by number and by memory.
