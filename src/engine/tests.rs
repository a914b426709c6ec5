mod delivery;
mod reading;
mod server;
mod world;
