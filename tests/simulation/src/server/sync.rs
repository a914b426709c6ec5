//! `chat_sync`: what came after each cursor, complete from `first_seq` up to `through_seq`.

use surechat::json::{Value, list, number, object, text};

use super::{Conversation, Member, Row, Rules, Server};

struct Asked<'a> {
    id: &'a str,
    fresh: bool,
    seq: u64,
    count: u64,
    last: u64,
    room: u64,
}

impl Server {
    pub(super) fn sync(&self, user: &str, cursors: &Value, rules: &Rules) -> Value {
        let cursors = cursors.as_object().map(|cursors| cursors.fields()).unwrap_or_default();
        let mut asked: Vec<Asked> = Vec::new();
        for (id, cursor) in cursors {
            let Some(held) = self.conversations.get(id).filter(|held| held.member(user).is_some()) else { continue };
            let last = seen(held, rules);
            let seq = number(cursor, "seq");
            let other = text(cursor, "incarnation").is_some_and(|known| known != held.incarnation);
            let fresh = seq.is_none_or(|seq| last < seq) || other;
            let seq = seq.unwrap_or(0);
            let count = if fresh { self.page_rows.min(last).min(self.row_limit) } else { last - seq };
            asked.push(Asked { id, fresh, seq, count, last, room: 0 });
        }
        asked.sort_by_key(|it| (!it.fresh, it.count, it.id));
        let mut ahead = 0;
        for it in &mut asked {
            let left = self.row_limit.saturating_sub(ahead);
            it.room = if !it.fresh {
                it.count.min(left)
            } else if it.count <= left {
                it.count
            } else {
                0
            };
            ahead += it.count;
        }
        list(cursors.iter().map(|(id, cursor)| {
            match (self.conversations.get(id), asked.iter().find(|it| it.id == id)) {
                (Some(held), Some(asked)) => match number(cursor, "before") {
                    Some(before) => older(id, held, before, asked.last, self.page_rows.min(self.row_limit)),
                    None => page(id, held, asked),
                },
                (Some(_), None) => refused(id, "forbidden"),
                (None, _) => refused(id, "no_conversation"),
            }
        }))
    }
}

/// The newest row that this request sees. What amended an earlier row is seen, as is what it has amended.
pub(super) fn seen(held: &Conversation, rules: &Rules) -> u64 {
    let Some(since) = rules.blind_since else { return held.last_seq };
    let unseen = held.rows.iter().rev().take_while(|row| row.created_at >= since && row.kind == "message");
    unseen.last().map_or(held.last_seq, |row| row.seq - 1)
}

fn page(id: &str, held: &Conversation, asked: &Asked) -> Value {
    let start = match asked {
        Asked { fresh: false, seq, .. } => *seq,
        Asked { room, count, last, .. } if room == count => last - room,
        _ => 0,
    };
    let after = held.rows.iter().filter(|row| row.seq > start && row.seq <= asked.last);
    let rows: Vec<&Row> = after.take(usize::try_from(asked.room).unwrap_or(usize::MAX)).collect();
    let whole = asked.room == asked.count || (rows.len() as u64) < asked.room;
    let through = if whole { asked.last } else { rows.last().map_or(start, |row| row.seq) };
    object(vec![
        ("conversation_id", id.into()),
        ("status", "ok".into()),
        ("incarnation", held.incarnation.as_str().into()),
        ("last_seq", asked.last.into()),
        ("through_seq", through.into()),
        ("first_seq", (start + 1).into()),
        ("rows", list(rows.into_iter().map(|row| row.to_value(id)))),
        ("members", list(held.members.iter().map(Member::to_value))),
    ])
}

/// The page that ends below `before`.
fn older(id: &str, held: &Conversation, before: u64, last: u64, rows: u64) -> Value {
    let before = before.clamp(1, last + 1);
    let below: Vec<&Row> = held.rows.iter().filter(|row| row.seq < before).collect();
    let hidden = below.len().saturating_sub(usize::try_from(rows).unwrap_or(usize::MAX));
    let first = below.get(hidden).filter(|_| hidden > 0).map_or(1, |row| row.seq);
    object(vec![
        ("conversation_id", id.into()),
        ("status", "ok".into()),
        ("incarnation", held.incarnation.as_str().into()),
        ("last_seq", last.into()),
        ("through_seq", (before - 1).into()),
        ("first_seq", first.into()),
        ("rows", list(below.into_iter().skip(hidden).map(|row| row.to_value(id)))),
        ("members", list(held.members.iter().map(Member::to_value))),
    ])
}

fn refused(id: &str, status: &str) -> Value {
    object(vec![("conversation_id", id.into()), ("status", status.into())])
}
