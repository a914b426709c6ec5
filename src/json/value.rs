//! The value itself.

use std::ops::{Index, IndexMut};

/// The largest whole number that JavaScript counts exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// JavaScript has no other numbers.
    Number(f64),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Fields in the order they came. Two are equal whatever their order is.
#[derive(Debug, Clone, Default)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// A field of a name that is not there yet.
    pub fn push(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }

    /// The same of a name that is known beforehand.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.push(name.to_owned(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value)
    }

    pub fn fields(&self) -> &[(String, Value)] {
        &self.0
    }

    /// Takes a field out, and leaves `null` behind.
    pub fn take(&mut self, name: &str) -> Value {
        let field = self.0.iter_mut().find(|(of, _)| of == name);
        field.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    }

    /// The value of this field, `null` if it was not there.
    pub fn entry(&mut self, name: &str) -> &mut Value {
        let known = self.0.iter().position(|(of, _)| of == name);
        let index = known.unwrap_or_else(|| {
            self.push(name.to_owned(), Value::Null);
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Value {
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.as_object()?.get(field)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number that is not negative and that JavaScript counts exactly.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(number) if (0.0..=MAX_EXACT).contains(number) && number.trunc() == *number => {
                Some(*number as u64)
            }
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// `null` for a field that is not there.
impl Index<&str> for Value {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        self.get(field).unwrap_or(&Value::Null)
    }
}

/// Makes an object of what is none.
impl IndexMut<&str> for Value {
    fn index_mut(&mut self, field: &str) -> &mut Value {
        if self.as_object().is_none() {
            *self = Value::Object(Object::default());
        }
        match self {
            Value::Object(object) => object.entry(field),
            other => other,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

macro_rules! from_number {
    ($($number:ty),+) => {$(
        impl From<$number> for Value {
            #[expect(clippy::allow_attributes, reason = "not every width loses precision")]
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "no number here is beyond 2^53")]
            fn from(number: $number) -> Self {
                Value::Number(number as f64)
            }
        }
    )+};
}

from_number!(i32, u16, u32, u64, usize);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::Array(items)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object)
    }
}
