//! The Supabase Realtime client, as a pure state machine.
//!
//! # The mechanism
//!
//! The owner says which channels it *desires*; the machine does whatever is needed to have them
//! joined, for ever, until the owner stops it or wants other channels. It reads no clock, opens no
//! socket and knows no browser: time comes in as milliseconds of a monotonic clock, everything
//! that happens comes in as [`Input`], everything to be done goes out as [`Output`], and everything
//! worth knowing goes out as [`Event`].
//!
//! ```text
//! realtime.handle(now, input);                     // or set_desired, start, stop, handle_timeout
//! while let Some(output) = realtime.poll_output()  // do it
//! while let Some(event) = realtime.poll_event()    // learn it
//! realtime.poll_timeout()                          // call handle_timeout(now) then; late or twice is harmless
//! ```
//!
//! **One socket, by epoch.** Each [`Output::Connect`] carries a new epoch; whatever the owner
//! reports of another epoch than the last is ignored. A socket that is late with anything (opening,
//! a join's reply, a heartbeat's reply) is discarded, not repaired: a half-open socket looks
//! healthy for ever. It is opened anew after a backoff with full jitter, whatever its close code
//! was. The backoff starts over only after a channel was ready for 30 s.
//!
//! **A channel is ready after two signals.** The server answers a join before it listens to the
//! database, and what is committed in between is lost. [`Event::ChannelReady`] is therefore said
//! only when the join was accepted *and* the server has reported each source that the
//! [`ChannelConfig`] asks for. That is the moment to catch up by other means; what comes live
//! before it is passed on as well, since every live event is only a hint.
//!
//! **No join without a token.** A join without one would run as the anonymous role, and nothing
//! would say so. The token must have been given since the last waking, must not be about to
//! expire, and must not have been refused; otherwise [`Output::NeedToken`] comes first. A new
//! token is pushed to joined channels once.
//!
//! **Sleep.** A timer that comes far too late means that the page was asleep: the socket then gets
//! one short respite and a probe, because the answer it was waiting for may be queued just behind.

mod backoff;
mod channel;
pub mod codec;
mod error;
mod machine;
mod token;
mod types;

#[cfg(test)]
mod tests;

pub use error::{JoinError, Retry};
pub use machine::Realtime;
pub use types::{ChannelConfig, Config, Event, Input, Output, PostgresBinding, Reason, SocketState, Timing, Token};
