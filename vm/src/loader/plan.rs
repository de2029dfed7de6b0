//! The layout of every class of a load: slots, virtual table, interfaces. Superclasses are planned before their subclasses, across
//! modules.
//!
//! Superclasses form no circle: a definition stands below an import, whose shape was compared and names an import before it. The
//! walk looks for one all the same, because modules that were loaded earlier are not compared again.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, ClassDefinition, ClassKind, EXCEPTION_FIELDS, ElementKind, MethodBody,
};

use super::error::LoadError;
use super::resolve::{ClassId, DefinitionId, Resolved};
use super::unit::Units;
use crate::memory::layout::object::{HEADER_SIZE, SMALL_LIMIT};

/// Most slots of an object: plain objects live in size classes.
pub(super) const SLOTS_MAX: usize = {
    let slots = (SMALL_LIMIT - HEADER_SIZE) / 8;
    assert!(slots < 4096);
    slots as usize
};

/// What a class object is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassPlan {
    /// Its name.
    pub(super) name: String,
    /// What kind of class.
    pub(super) kind: ClassKind,
    /// The superclass.
    pub(super) superclass: ClassId,
    /// Number of superclasses.
    pub(super) depth: u32,
    /// For each slot, superclass's first, whether it holds a reference.
    pub(super) slots: Vec<bool>,
    /// Names of the slots.
    pub(super) slot_names: Vec<String>,
    /// The virtual table; nothing where a method is abstract.
    pub(super) methods: Vec<Option<DefinitionId>>,
    /// Each interface with the places of its methods in the virtual table, the superclass's first. For interfaces, those above
    /// it, without places.
    pub(super) interfaces: Vec<(ClassId, Vec<u32>)>,
}

/// The plans of all definitions of all units, in an order in which superclasses come first.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// The order.
    pub(super) order: Vec<DefinitionId>,
    /// The plans.
    pub(super) by_definition: BTreeMap<DefinitionId, ClassPlan>,
}

/// Plans every class of every unit.
pub(super) fn plan(units: &Units<'_>, resolved: &[Resolved]) -> Result<Plans, LoadError> {
    let mut plans = Plans::default();
    for (place, unit) in units.list.iter().enumerate() {
        for definition in 0..unit.module.classes.len() {
            plan_chain(units, resolved, DefinitionId { unit: place, definition }, &mut plans)?;
        }
    }
    Ok(plans)
}

/// Plans a class and, before it, those of its superclasses that have no plan yet.
fn plan_chain(
    units: &Units<'_>,
    resolved: &[Resolved],
    class: DefinitionId,
    plans: &mut Plans,
) -> Result<(), LoadError> {
    let mut chain = Vec::new();
    let mut next = ClassId::Defined(class);
    while let ClassId::Defined(id) = next {
        if plans.by_definition.contains_key(&id) {
            break;
        }
        let unit = units.list.get(id.unit);
        let definition = unit.and_then(|unit| unit.module.classes.get(id.definition));
        let own = resolved.get(id.unit);
        let (Some(unit), Some(definition), Some(own)) = (unit, definition, own) else {
            return Err(refuse(units, class, "a superclass is missing"));
        };
        if chain.contains(&id) {
            return Err(unit.refuse(&format!("class {}: is its own superclass", definition.name)));
        }
        chain.push(id);
        next = own
            .class(definition.shape.superclass)
            .ok_or_else(|| refuse(units, class, "a superclass is missing"))?;
    }
    while let Some(id) = chain.pop() {
        let plan = plan_class(units, resolved, id, plans)
            .ok_or_else(|| refuse(units, id, "its description contradicts itself"))?;
        if plan.slots.len() > SLOTS_MAX {
            let why = format!("has {} slots, an object at most {SLOTS_MAX}", plan.slots.len());
            return Err(refuse(units, id, &why));
        }
        plans.by_definition.insert(id, plan);
        plans.order.push(id);
    }
    Ok(())
}

fn refuse(units: &Units<'_>, class: DefinitionId, why: &str) -> LoadError {
    match units.list.get(class.unit) {
        Some(unit) => {
            let name = unit.module.classes.get(class.definition).map_or("", |class| &class.name);
            unit.refuse(&format!("class {name}: {why}"))
        }
        None => LoadError::Module { index: 0, reason: String::from(why) },
    }
}

/// Plans a class whose superclass has a plan. Nothing if the module says what no verified one does.
fn plan_class(
    units: &Units<'_>,
    resolved: &[Resolved],
    id: DefinitionId,
    plans: &Plans,
) -> Option<ClassPlan> {
    let definition = units.list.get(id.unit)?.module.classes.get(id.definition)?;
    let own = resolved.get(id.unit)?;
    let shape = &definition.shape;
    let superclass = own.class(shape.superclass)?;
    let mut plan = match superclass {
        ClassId::Builtin(builtin) => below_builtin(builtin, shape.kind),
        ClassId::Defined(upper) => plans.by_definition.get(&upper)?.clone(),
    };
    plan.name = definition.name.clone();
    plan.kind = shape.kind;
    plan.superclass = superclass;
    plan.depth += 1;
    for field in &shape.fields {
        plan.slots.push(field.value.is_reference());
        plan.slot_names.push(field.name.clone());
    }
    plan_methods(own, definition, &mut plan)?;
    Some(plan)
}

/// Virtual table and interfaces on top of the superclass's.
fn plan_methods(own: &Resolved, definition: &ClassDefinition, plan: &mut ClassPlan) -> Option<()> {
    let inherited = core::mem::take(&mut plan.methods);
    for (place, body) in definition.bodies.iter().enumerate() {
        plan.methods.push(match body {
            MethodBody::Inherited => *inherited.get(place)?,
            MethodBody::Abstract => None,
            MethodBody::Function(function) => Some(own.function(*function)?),
        });
    }
    if plan.methods.len() < inherited.len() {
        return None;
    }
    for (number, interface) in definition.shape.interfaces.iter().enumerate() {
        let class = own.class(*interface)?;
        let places = definition.interface_methods.get(number).cloned().unwrap_or_default();
        if places.iter().any(|place| *place as usize >= plan.methods.len()) {
            return None;
        }
        // Named again by a subclass, an interface is answered by the subclass's methods.
        plan.interfaces.retain(|(other, _)| *other != class);
        plan.interfaces.push((class, places));
    }
    Some(())
}

/// What a class directly below a built-in one begins with.
fn below_builtin(builtin: Builtin, kind: ClassKind) -> ClassPlan {
    let fields = if builtin.is_below(Builtin::Exception) { &EXCEPTION_FIELDS[..] } else { &[] };
    ClassPlan {
        name: String::new(),
        kind,
        superclass: ClassId::Builtin(builtin),
        depth: depth(builtin),
        slots: fields.iter().map(|(_, value)| value.is_reference()).collect(),
        slot_names: fields.iter().map(|(name, _)| String::from(*name)).collect(),
        methods: Vec::new(),
        interfaces: Vec::new(),
    }
}

/// Number of superclasses of a built-in class.
pub(super) fn depth(builtin: Builtin) -> u32 {
    match builtin {
        Builtin::Object => 0,
        _ => 1 + depth(builtin.superclass()),
    }
}

/// Log2 of the bytes of an element.
pub(super) const fn element_shift(element: ElementKind) -> u8 {
    match element {
        ElementKind::U8 => 0,
        ElementKind::I16 => 1,
        ElementKind::I32 | ElementKind::F32 => 2,
        ElementKind::I64 | ElementKind::F64 | ElementKind::Reference => 3,
    }
}
