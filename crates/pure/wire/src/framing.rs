//! Framers: push bytes as they arrive, get whole frames. However the bytes are cut, the frames are the same.

pub mod sse;
