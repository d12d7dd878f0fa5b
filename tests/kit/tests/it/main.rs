//! The test kit itself: faults are the faults they say they are, and the default answers are what SDKs expect.

mod faults;
mod gateway;
mod program;
mod providers;
mod script;
