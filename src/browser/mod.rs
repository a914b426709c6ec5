//! The shell: does in a browser what the engine asks for, and tells it what happens. No decisions.
//!
//! One file for each thing of the browser; [`driver`] is the loop that connects them with the engine, [`exports`] is what
//! JavaScript sees.

pub mod clock;
pub mod convert;
pub mod driver;
pub mod entropy;
pub mod exports;
pub mod http;
pub mod locks;
pub mod page;
pub mod panic;
pub mod remember;
pub mod socket;
pub mod store;
pub mod tabs;
pub mod timer;
pub mod value;
