//! The shell: does in a browser what the engine asks for, and tells it what happens. No decisions.
//!
//! One file for each thing of the browser; [`driver`] is the loop that connects them with the engine, [`exports`] is what
//! JavaScript sees.

mod clock;
mod convert;
mod driver;
mod entropy;
mod exports;
mod http;
mod locks;
mod page;
mod panic;
mod remember;
mod socket;
mod store;
mod tabs;
mod timer;
pub mod value;

/// Every call takes the same short time, free neighbours are joined, and it is small.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

#[cfg(test)]
#[path = "../../tests/browser/mod.rs"]
mod tests;
