//! The short bad days that break a delivery protocol when one rule is missing, each under its number and nowhere else.
//! `docs/bad-days.md` tells them. Every one of them is played by the engine that ships, exactly in the order told.

mod lanes;
mod order;
mod reading;
mod stage;
mod storage;
mod tabs;
mod taking_back;
mod users;
