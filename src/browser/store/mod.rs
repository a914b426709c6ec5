//! The database: transactions as data, run by IndexedDB.
//!
//! Transactions are run one after another, in the order in which they were asked for, across a lost connection too: a
//! later one never overtakes. All requests of a transaction are issued at once, without a pause that would end it, and
//! only its end is awaited. Nothing counts before the `complete` event.

mod connection;
mod transaction;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
};

use wasm_bindgen_futures::spawn_local;

use crate::store::{StoreError, StoreResult, Transaction};
use connection::Connection;
use transaction::Course;

type Done = Box<dyn FnOnce(StoreResult)>;

struct Waiting {
    transaction: Transaction,
    done: Done,
    refused: bool,
}

pub struct Store {
    name: String,
    connection: RefCell<Option<Connection>>,
    queue: RefCell<VecDeque<Waiting>>,
    running: Cell<bool>,
    course: RefCell<Option<Rc<Course>>>,
    /// Another tab needs the database in another layout, or gone.
    outdated: Cell<bool>,
    closed: Cell<bool>,
    on_lost: Box<dyn Fn(Lost)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The connection broke, as when the user deletes the site's data. The next transaction opens it anew.
    Connection,
    /// Another tab wants a newer layout, or to delete the database.
    Outdated,
}

impl Store {
    pub async fn open(name: &str, on_lost: impl Fn(Lost) + 'static) -> Result<Rc<Self>, StoreError> {
        let store = Rc::new(Self {
            name: name.to_owned(),
            connection: RefCell::default(),
            queue: RefCell::default(),
            running: Cell::new(false),
            course: RefCell::default(),
            outdated: Cell::new(false),
            closed: Cell::new(false),
            on_lost: Box::new(on_lost),
        });
        store.connect().await?;
        Ok(store)
    }

    pub fn run(self: &Rc<Self>, transaction: Transaction, done: impl FnOnce(StoreResult) + 'static) {
        self.queue.borrow_mut().push_back(Waiting { transaction, done: Box::new(done), refused: false });
        if !self.running.replace(true) {
            let store = Rc::clone(self);
            spawn_local(async move { store.drain().await });
        }
    }

    /// See [`Effect::LetTransactionsGo`](crate::engine::Effect::LetTransactionsGo).
    pub fn let_go(&self) {
        for waiting in self.queue.borrow_mut().iter_mut() {
            waiting.refused = waiting.transaction.reads_first();
        }
        if let Some(course) = &*self.course.borrow() {
            course.let_go();
        }
    }

    /// What is running comes to its end; what waits behind it is not begun and not answered.
    pub fn close(&self) {
        self.closed.set(true);
        self.queue.borrow_mut().clear();
        self.connection.take();
    }

    async fn drain(self: &Rc<Self>) {
        loop {
            let next = self.queue.borrow_mut().pop_front();
            let Some(Waiting { transaction, done, refused }) = next else { break };
            let result = if refused { Err(StoreError::Robbed) } else { self.execute(&transaction).await };
            if !self.closed.get() {
                done(result);
            }
        }
        self.running.set(false);
    }

    async fn execute(self: &Rc<Self>, transaction: &Transaction) -> StoreResult {
        let tables = transaction::tables(transaction);
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let begun = match self.begin(&tables, transaction) {
            Ok(begun) => begun,
            Err(_) => {
                self.connect().await?;
                self.begin(&tables, transaction)?
            }
        };
        let course = Course::new(begun);
        self.course.replace(Some(Rc::clone(&course)));
        let result = transaction::perform(&course, transaction).await;
        self.course.take();
        result
    }

    fn begin(&self, tables: &[&'static str], transaction: &Transaction) -> Result<web_sys::IdbTransaction, StoreError> {
        match &*self.connection.borrow() {
            Some(connection) => connection.begin(tables, transaction),
            None => Err(StoreError::Failed("the connection to the database is closed".into())),
        }
    }

    async fn connect(self: &Rc<Self>) -> Result<(), StoreError> {
        if self.outdated.get() {
            return Err(StoreError::Outdated);
        }
        self.connection.take();
        let store = Rc::downgrade(self);
        let connection = Connection::open(&self.name, move |lost| Self::lose(&store, lost)).await?;
        if !self.closed.get() {
            self.connection.replace(Some(connection));
        }
        Ok(())
    }

    fn lose(store: &Weak<Self>, lost: Lost) {
        let Some(store) = store.upgrade() else { return };
        if lost == Lost::Outdated {
            store.outdated.set(true);
        }
        store.connection.take();
        if !store.closed.get() {
            (store.on_lost)(lost);
        }
    }
}
