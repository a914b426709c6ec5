//! A started engine on a database that holds anything, in a world that says anything.
//!
//! `{"records": {"outbox": [...], "messages": [...], "conversations": [...], "meta": [...]}, "answers": [...],
//! "steps": [...]}`, the answers being those of the first requests in place of the kind server's. A row of the outbox may
//! disappear for two reasons only: something said, in words that can be read, that the server has it; or a person gave it
//! up.

use surechat::{
    engine::{Command, Input, PageEvent},
    json::{Value, items, number, owned, print, text},
    store::{Operation, StoreError, Table, Transaction},
    tabs::TabMessage,
};

use super::{replies, world::World};

const STEPS: usize = 48;

pub fn engine(data: &[u8]) {
    let Some(scenario) = super::scenario(data) else { return };
    let mut world = World::new();
    for table in Table::ALL {
        for record in items(&scenario["records"], table.name()).iter().take(32) {
            world.holds(table, record);
        }
    }
    world.answers.extend(items(&scenario, "answers").iter().take(STEPS).map(replies::response));
    world.start();
    for step in items(&scenario, "steps").iter().take(STEPS) {
        act(&mut world, step);
        world.check();
    }
    world.wait(120_000);
    world.check();
    world.command(Command::Shutdown { op: 0, discard: false });
    world.check();
}

fn act(world: &mut World, step: &Value) {
    let Some((name, value)) = step.as_object().and_then(|step| step.fields().first()) else { return };
    let conversation_id = || owned(step, name).unwrap_or_else(|| "b1".into());
    match name.as_str() {
        "send" => world.send(value.as_str().unwrap_or("hello"), text(step, "to").unwrap_or("b1")),
        // The next request gets this answer, whatever it asks.
        "reply" => world.answers.push_back(replies::response(value)),
        "live" => world.broadcast(text(step, "event").unwrap_or("message"), value),
        "frame" => world.frame(value.as_str().map_or_else(|| print(value), str::to_owned)),
        "heard" => {
            if let Some(message) = TabMessage::from_value(value) {
                if let TabMessage::Act { act, .. } = &message {
                    world.ledger.acted(act);
                }
                world.feed(Input::Heard(message));
            }
        }
        "token" => world.token = owned(step, name),
        "wait" => world.wait(value.as_u64().unwrap_or(1_000).min(120_000)),
        "page" => {
            if let Some(event) = page_event(value.as_str().unwrap_or_default()) {
                world.feed(Input::Page(event));
            }
        }
        "lock" if value.as_bool() == Some(true) => world.grant_lock(),
        "lock" => world.feed(Input::LockLost),
        // Another tab took the lead.
        "robbed" => world.transact(&Transaction::strict(vec![Operation::RaiseGeneration { first: 1 }])),
        "retry" => {
            world.ledger.retried();
            world.command(Command::Retry { op: 0, conversation_id: owned(step, name) });
        }
        "cancel" => world.give_up(value, |conversation_id, id| Command::Cancel { op: 0, conversation_id, id }),
        "discard" => world.give_up(value, |conversation_id, id| Command::Discard { op: 0, conversation_id, id }),
        "edit" => {
            let content = text(step, "content").unwrap_or("edited").to_owned();
            let edit_id = world.next_id();
            world.give_up(value, |conversation_id, id| Command::Edit { op: 0, conversation_id, id, edit_id, content });
        }
        "open" => world.command(Command::Open { conversation_id: conversation_id() }),
        "close" => world.command(Command::Close { conversation_id: conversation_id() }),
        "reload" => world.command(Command::Reload { op: 0, conversation_id: conversation_id() }),
        "read" => world.command(Command::MarkRead { conversation_id: conversation_id() }),
        "fault" => {
            world.fault = match value.as_str() {
                Some("full") => Some(StoreError::Full),
                Some("failed") => Some(StoreError::Failed("AbortError".into())),
                Some("outdated") => Some(StoreError::Outdated),
                _ => None,
            }
        }
        "lost" => world.feed(Input::StoreLost { outdated: value.as_bool() == Some(true) }),
        "closed" => world.cut(number(step, name).unwrap_or(1006) as u16),
        _ => {}
    }
}

fn page_event(name: &str) -> Option<PageEvent> {
    Some(match name {
        "online" => PageEvent::Online,
        "offline" => PageEvent::Offline,
        "visible" => PageEvent::Visible,
        "hidden" => PageEvent::Hidden,
        "shown" => PageEvent::Shown { persisted: true },
        "leaving" => PageEvent::Leaving,
        "frozen" => PageEvent::Frozen,
        "resumed" => PageEvent::Resumed,
        _ => return None,
    })
}
