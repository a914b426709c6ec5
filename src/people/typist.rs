//! What others are told of this tab's typing: at once when it begins, again while it lasts, and when it ends.

/// It is said again after this long, and never sooner.
const REPEAT_MS: u64 = 3_000;
/// It ends by itself after this long without a key.
const END_MS: u64 = 5_000;

#[derive(Debug, Clone, Default)]
pub struct Typist {
    conversations: Vec<Typing>,
}

#[derive(Debug, Clone)]
struct Typing {
    conversation_id: String,
    /// `None`: nobody types any more, but it may not be said again before `say_at` that somebody does.
    until: Option<u64>,
    say_at: u64,
    /// Others believe that we type.
    said: bool,
}

impl Typist {
    /// A key was pressed, or it is over. Answers what others are to be told now.
    pub fn set(&mut self, now: u64, conversation_id: &str, on: bool) -> Option<bool> {
        let known = self.conversations.iter_mut().find(|typing| typing.conversation_id == conversation_id);
        match known {
            Some(typing) => {
                typing.until = on.then_some(now + END_MS);
                (!on && std::mem::take(&mut typing.said)).then_some(false)
            }
            None if on => {
                let conversation_id = conversation_id.to_owned();
                let until = Some(now + END_MS);
                self.conversations.push(Typing { conversation_id, until, say_at: now + REPEAT_MS, said: true });
                Some(true)
            }
            None => None,
        }
    }

    /// What others are to be told by now, by conversation.
    pub fn due(&mut self, now: u64) -> Vec<(String, bool)> {
        let mut due = Vec::new();
        for typing in &mut self.conversations {
            if typing.until.is_some_and(|until| until <= now) {
                typing.until = None;
                if std::mem::take(&mut typing.said) {
                    due.push((typing.conversation_id.clone(), false));
                }
            } else if typing.until.is_some() && typing.say_at <= now {
                typing.say_at = now + REPEAT_MS;
                typing.said = true;
                due.push((typing.conversation_id.clone(), true));
            }
        }
        self.conversations.retain(|typing| typing.until.is_some() || typing.say_at > now);
        due
    }

    /// Nobody types here any more. Answers in which conversations others believe otherwise.
    pub fn end(&mut self) -> Vec<String> {
        std::mem::take(&mut self.conversations)
            .into_iter()
            .filter(|typing| typing.said)
            .map(|typing| typing.conversation_id)
            .collect()
    }

    pub fn deadline(&self) -> Option<u64> {
        let next = |typing: &Typing| typing.until.map_or(typing.say_at, |until| until.min(typing.say_at));
        self.conversations.iter().map(next).min()
    }
}
