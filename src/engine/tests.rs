mod delivery;
mod reading;
mod server;
mod storage;
mod world;
