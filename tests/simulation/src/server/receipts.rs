//! `chat_ack`: watermarks that only rise.

use surechat::json::{Value, list, number, object, text};

use super::{Member, Server};

impl Member {
    pub(super) fn to_value(&self) -> Value {
        object(vec![
            ("user_id", self.user.as_str().into()),
            ("role", self.role.as_str().into()),
            ("delivered_seq", self.delivered.into()),
            ("read_seq", self.read.into()),
        ])
    }
}

impl Server {
    pub(super) fn ack(&mut self, user: &str, acks: &Value) -> Value {
        let changed = self.begin();
        let mut answers = Vec::new();
        for ack in acks.as_array().unwrap_or_default() {
            let id = text(ack, "conversation_id").unwrap_or_default();
            let Some(held) = self.conversations.get_mut(id) else { continue };
            let last = held.last_seq;
            let incarnation = held.incarnation.clone();
            let Some(member) = held.members.iter_mut().find(|member| member.user == user) else { continue };
            let read = number(ack, "read").unwrap_or(0).min(last);
            let delivered = number(ack, "delivered").unwrap_or(0).min(last).max(read);
            let risen = delivered > member.delivered || read > member.read;
            member.delivered = member.delivered.max(delivered);
            member.read = member.read.max(read);
            if risen {
                member.changed = changed;
            }
            let mut receipt = member.to_value();
            receipt["conversation_id"] = id.into();
            answers.push(receipt.clone());
            if risen {
                receipt["incarnation"] = incarnation.into();
                self.tell(id, "receipt", &receipt);
            }
        }
        list(answers.into_iter())
    }

    /// Somebody whose browser is not in this world has stored and read up to here.
    pub fn receive(&mut self, user: &str, conversation: &str, delivered: u64, read: u64) {
        let ack = object(vec![
            ("conversation_id", conversation.into()),
            ("delivered", delivered.into()),
            ("read", read.into()),
        ]);
        self.ack(user, &list([ack].into_iter()));
    }
}
