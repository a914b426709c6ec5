mod acts;
mod delivery;
mod golden;
mod reading;
mod server;
mod storage;
mod world;
