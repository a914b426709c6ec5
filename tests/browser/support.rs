//! What the tests share: pauses, what was heard, and globals put in the way of a browser's own.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

pub async fn pause(ms: u32) {
    let wait = Promise::new(&mut |resolve, _| {
        gloo_timers::callback::Timeout::new(ms, move || drop(resolve.call0(&JsValue::UNDEFINED))).forget();
    });
    JsFuture::from(wait).await.unwrap();
}

/// A name that no other test has.
pub fn fresh(name: &str) -> String {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }
    let count = COUNT.replace(COUNT.get() + 1);
    format!("{name}-{}-{count}", js_sys::Date::now())
}

/// Collects what a callback is told.
pub struct Heard<T>(Rc<RefCell<Vec<T>>>);

impl<T: Clone + PartialEq + std::fmt::Debug + 'static> Heard<T> {
    pub fn new() -> Self {
        Self(Rc::default())
    }

    pub fn ear(&self) -> impl Fn(T) + 'static {
        let heard = Rc::clone(&self.0);
        move |event| heard.borrow_mut().push(event)
    }

    pub fn all(&self) -> Vec<T> {
        self.0.borrow().clone()
    }

    /// For up to two seconds.
    pub async fn until(&self, expected: &[T]) {
        for _ in 0..200 {
            if *self.0.borrow() == expected {
                return;
            }
            pause(10).await;
        }
        assert_eq!(self.all(), expected);
    }
}

/// Another value in a global's place until this is dropped.
pub struct Instead {
    object: Object,
    name: &'static str,
    before: JsValue,
}

impl Instead {
    pub fn of(object: &JsValue, name: &'static str, value: &JsValue) -> Self {
        let object: Object = object.clone().unchecked_into();
        let before = Object::get_own_property_descriptor(&object, &name.into());
        let descriptor = Object::new();
        Reflect::set(&descriptor, &"value".into(), value).unwrap();
        Reflect::set(&descriptor, &"configurable".into(), &true.into()).unwrap();
        Reflect::set(&descriptor, &"writable".into(), &true.into()).unwrap();
        Object::define_property(&object, &name.into(), &descriptor);
        Self { object, name, before }
    }

    pub fn of_global(name: &'static str, value: &JsValue) -> Self {
        Self::of(&js_sys::global(), name, value)
    }
}

impl Drop for Instead {
    fn drop(&mut self) {
        if self.before.is_undefined() {
            Reflect::delete_property(&self.object, &self.name.into()).unwrap();
        } else {
            Object::define_property(&self.object, &self.name.into(), self.before.unchecked_ref());
        }
    }
}

/// A JavaScript expression's value.
pub fn js(expression: &str) -> JsValue {
    js_sys::eval(&format!("({expression})")).unwrap()
}

pub fn call(function: &JsValue, argument: &JsValue) -> JsValue {
    function.unchecked_ref::<Function>().call1(&JsValue::UNDEFINED, argument).unwrap()
}
