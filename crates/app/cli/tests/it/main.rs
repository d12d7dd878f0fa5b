//! The real binary: what it prints, what it refuses, how it ends.

mod asking;
mod checking;
mod data_dir;
mod debug;
mod dotenv;
mod explaining;
mod faults;
mod flags;
mod killed_books;
mod killing;
mod one_model;
mod running;
mod seeds;
mod sharing;
mod sig_lines;
mod sig_reload;
mod sig_shutdown;
mod small_disk;
mod storm;
mod world;
