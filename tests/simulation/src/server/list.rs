//! `chat_list`: what changed in the conversations of a user since an earlier answer.

use surechat::json::{Value, list, number, object, text};

use super::{Row, Rules, Server, sync::seen};

impl Server {
    pub(super) fn list(&self, user: &str, body: &Value, rules: &Rules) -> Value {
        let horizon = self.horizon(rules);
        let since = number(body, "since").filter(|since| (3..=horizon).contains(since));
        let mine: Vec<_> = self.conversations.iter().filter(|(_, held)| held.member(user).is_some()).collect();
        let mut cursors = body.get("cursors").and_then(Value::as_object).cloned().unwrap_or_default();
        for (id, held) in &mine {
            let last = seen(held, rules);
            let seq = match since {
                None => held.member(user).map_or(0, |member| member.delivered).max(last.saturating_sub(self.page_rows)),
                Some(since) if held.changed() >= since => {
                    held.rows.iter().rev().find(|row| row.changed < since).map_or(0, |row| row.seq)
                }
                Some(_) => continue,
            };
            if !cursors.fields().iter().any(|(asked, _)| asked == *id) {
                let cursor =
                    object(vec![("seq", seq.min(last).into()), ("incarnation", held.incarnation.as_str().into())]);
                cursors.push((*id).clone(), cursor);
            }
        }
        let total = mine.len() as u64;
        let sum: u64 = mine.iter().map(|(_, held)| seen(held, rules)).sum();
        let names = since.is_some() && number(body, "held") != Some(total);
        let ids = list(mine.iter().map(|(id, _)| id.as_str().into()));
        let mut answers = self.sync(user, &cursors.into(), rules);
        if let Value::Array(answers) = &mut answers {
            answers.iter_mut().for_each(|answer| self.sum_up(user, answer, rules));
        }
        object(vec![
            ("since", horizon.into()),
            ("full", since.is_none().into()),
            ("total", total.into()),
            ("sum", sum.into()),
            ("ids", if names { ids } else { Value::Null }),
            ("conversations", answers),
        ])
    }

    /// The oldest transaction that this request does not see.
    fn horizon(&self, rules: &Rules) -> u64 {
        let unseen = self.conversations.values().flat_map(|held| {
            let last = seen(held, rules);
            held.rows.iter().filter(move |row| row.seq > last).map(|row| row.changed)
        });
        unseen.min().unwrap_or(self.transaction + 1)
    }

    fn sum_up(&self, user: &str, answer: &mut Value, rules: &Rules) {
        let id = text(answer, "conversation_id").unwrap_or_default().to_owned();
        let Some(held) = self.conversations.get(&id).filter(|held| held.member(user).is_some()) else { return };
        let last = seen(held, rules);
        let newest: Option<&Row> = held.last_message_up_to(last);
        answer["unread"] = held.unread_up_to(user, last).into();
        answer["last_message"] = newest.map(|row| row.to_value(&id)).into();
    }
}
