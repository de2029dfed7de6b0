//! Objects of a load: classes, functions, constants, statics, the module instances, and their publication.
//!
//! Order: addresses first (class objects with their indices, function objects), because code and tables name them; then signatures,
//! code and constants; then the module instances and the namespace's new table. The last references stored are those that
//! make the load visible.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, ExportItem, FunctionDefinition, Signature, ValueType, WindowSize,
};
use revenant_hal::ObjectAddress;

use super::builtins::{ClassSpec, class_entry, fill_class, make_class};
use super::error::LoadError;
use super::layout::{
    FUNCTION_CODE, FUNCTION_CODE_OBJECT, FUNCTION_COUNTS, FUNCTION_HANDLERS, FUNCTION_INDEX,
    FUNCTION_LINES, FUNCTION_MODULE, FUNCTION_NAME, FUNCTION_RESULTS, FUNCTION_SIGNATURE,
    FUNCTION_SIZE, MODULE_CLASSES, MODULE_EXPORTS, MODULE_FILE, MODULE_FUNCTIONS, MODULE_NAME,
    MODULE_NAMESPACE, MODULE_SIGNATURES, MODULE_SIZE, MODULE_SOURCE, MODULE_STATIC_NAMES,
    MODULE_STATIC_RAWS, MODULE_STATIC_REFERENCES, MODULE_STRINGS, MODULE_VERSION,
    NAMESPACE_MODULES, ROOT_SIGNATURES, SIGNATURE_SIZE, SIGNATURE_TEXT,
};
use super::link::Links;
use super::maker::Maker;
use super::plan::{ClassPlan, Plans};
use super::resolve::{ClassId, DefinitionId, Resolved};
use super::text::{element_of, elements_of, slot_of, text_of};
use super::unit::{Origin, Unit, Units};
use crate::heap::{AllocationError, Allocator};
use crate::memory::layout::area;
use crate::memory::layout::class::{INDEX, VTABLE};
use crate::memory::layout::object::PAYLOAD;
use crate::memory::layout::system::root;
use crate::memory::{AddressExt, Space};

const ROOT: ObjectAddress = ObjectAddress(area::ROOT);

/// Builds everything that is not loaded yet and publishes it; the modules in the order of the files.
pub(super) fn build(
    space: Space,
    allocator: Allocator,
    namespace: ObjectAddress,
    units: &Units<'_>,
    resolved: &[Resolved],
    plans: &Plans,
) -> Result<Vec<ObjectAddress>, LoadError> {
    let mut builder = Builder {
        units,
        resolved,
        plans,
        maker: Maker::new(space, allocator),
        next_class: space.load::<u64>(ROOT.plus(root::NEXT_CLASS)),
        classes: BTreeMap::new(),
        functions: BTreeMap::new(),
        modules: Vec::new(),
        signatures: Signatures::read(space),
    };
    builder.addresses()?;
    for place in 0..units.list.len() {
        builder.fill_unit(place, namespace)?;
    }
    builder.fill_classes()?;
    builder.signatures.publish(&mut builder.maker)?;
    builder.name_modules(namespace)?;
    let modules = builder.modules;
    let next_class = builder.next_class;
    builder.maker.publish();
    space.store(ROOT.plus(root::NEXT_CLASS), next_class);
    Ok(units.files.iter().filter_map(|place| modules.get(*place).copied()).collect())
}

/// A load under construction.
struct Builder<'a> {
    units: &'a Units<'a>,
    resolved: &'a [Resolved],
    plans: &'a Plans,
    maker: Maker,
    next_class: u64,
    /// Class objects and their indices.
    classes: BTreeMap<ClassId, (ObjectAddress, u32)>,
    functions: BTreeMap<DefinitionId, ObjectAddress>,
    modules: Vec<ObjectAddress>,
    signatures: Signatures,
}

impl Builder<'_> {
    /// Gives every class, function and module an address and every new class an index.
    fn addresses(&mut self) -> Result<(), LoadError> {
        for builtin in Builtin::ALL {
            let entry = class_entry(self.maker.space, *builtin as u32);
            self.classes.insert(ClassId::Builtin(*builtin), entry);
        }
        for id in &self.plans.order {
            let loaded = self.units.list.get(id.unit).and_then(Unit::loaded);
            let entry = match loaded {
                Some(module) => self.loaded_class(module, *id),
                None => self.new_class(*id)?,
            };
            self.classes.insert(ClassId::Defined(*id), entry);
        }
        for (unit, content) in self.units.list.iter().enumerate() {
            let module = match content.loaded() {
                Some(module) => module,
                None => self.maker.plain(Builtin::Module, MODULE_SIZE)?,
            };
            self.modules.push(module);
            let imports = content.module.function_imports.len();
            for definition in 0..content.module.functions.len() {
                let function = if content.loaded().is_some() {
                    let table = slot_of(self.maker.space, module, MODULE_FUNCTIONS);
                    element_of(self.maker.space, table, (imports + definition) as u64)
                } else {
                    self.maker.plain(Builtin::Function, FUNCTION_SIZE)?
                };
                self.functions.insert(DefinitionId { unit, definition }, function);
            }
        }
        Ok(())
    }

    fn loaded_class(&self, module: ObjectAddress, id: DefinitionId) -> (ObjectAddress, u32) {
        let space = self.maker.space;
        let imports = self.units.list.get(id.unit).map_or(0, |u| u.module.class_imports.len());
        let table = slot_of(space, module, MODULE_CLASSES);
        let class = element_of(space, table, (imports + id.definition) as u64);
        (class, space.load(class.plus(INDEX)))
    }

    fn new_class(&mut self, id: DefinitionId) -> Result<(ObjectAddress, u32), LoadError> {
        if self.next_class >= area::CLASS_TABLE_ENTRIES {
            return Err(LoadError::Memory(AllocationError::Exhausted));
        }
        let index = u32::try_from(self.next_class).unwrap_or(0);
        let methods = self.plans.by_definition.get(&id).map_or(0, |plan| plan.methods.len());
        self.next_class += 1;
        Ok((make_class(&mut self.maker, index, methods)?, index))
    }

    fn class(&self, id: ClassId) -> (ObjectAddress, u32) {
        self.classes.get(&id).copied().unwrap_or((ObjectAddress(0), 0))
    }

    fn function(&self, id: DefinitionId) -> ObjectAddress {
        self.functions.get(&id).copied().unwrap_or(ObjectAddress(0))
    }

    /// Functions, constants, statics and tables of one module, if it is not loaded yet.
    fn fill_unit(&mut self, place: usize, namespace: ObjectAddress) -> Result<(), LoadError> {
        let (units, all) = (self.units, self.resolved);
        let (Some(unit), Some(resolved)) = (units.list.get(place), all.get(place)) else {
            return Ok(());
        };
        let (Origin::File { bytes, .. }, Some(instance)) =
            (unit.origin, self.modules.get(place).copied())
        else {
            return Ok(());
        };
        let links = self.links(unit, resolved)?;
        for (definition, function) in unit.module.functions.iter().enumerate() {
            let object = self.function(DefinitionId { unit: place, definition });
            let index = unit.module.function_imports.len() + definition;
            self.fill_function(unit, &links, (object, index), function, instance)?;
        }
        let classes: Vec<_> = links.classes.iter().map(|(class, _)| *class).collect();
        let module = &unit.module;
        let mut strings = Vec::new();
        for string in &module.strings {
            strings.push(self.maker.text(string)?);
        }
        let mut names = Vec::new();
        for field in &module.statics {
            names.push(self.maker.text(&field.name)?);
        }
        let exports = self.exports(unit, &links)?;
        let maker = &mut self.maker;
        let slots = [
            (MODULE_NAME, maker.text(&module.name)?),
            (MODULE_FUNCTIONS, maker.objects(&links.functions)?),
            (MODULE_CLASSES, maker.objects(&classes)?),
            (MODULE_STRINGS, maker.objects(&strings)?),
            (MODULE_SIGNATURES, maker.objects(&links.signatures)?),
            (MODULE_STATIC_RAWS, maker.longs(&alloc::vec![0; module.statics.len()])?),
            (MODULE_STATIC_REFERENCES, maker.nulls(Builtin::ObjectArray, module.statics.len())?),
            (MODULE_EXPORTS, exports),
            (MODULE_NAMESPACE, namespace),
            (MODULE_STATIC_NAMES, maker.objects(&names)?),
            (MODULE_FILE, maker.bytes(bytes)?),
            (MODULE_SOURCE, maker.text(&module.source)?),
        ];
        for (offset, value) in slots {
            maker.refer(instance, offset, value);
        }
        maker.word(instance, MODULE_VERSION, u64::from(module.version));
        Ok(())
    }

    /// What the indices of a module lead to.
    fn links(&mut self, unit: &Unit<'_>, resolved: &Resolved) -> Result<Links, LoadError> {
        let mut signatures = Vec::new();
        for signature in &unit.module.signatures {
            let text = self.signature_text(resolved, signature);
            signatures.push(self.signatures.intern(&self.maker, text)?);
        }
        let mut builtins = alloc::vec![(ObjectAddress(0), 0)];
        builtins.extend(Builtin::ALL.iter().map(|class| self.class(ClassId::Builtin(*class))));
        Ok(Links {
            functions: resolved.functions.iter().map(|id| self.function(*id)).collect(),
            classes: resolved.classes.iter().map(|id| self.class(*id)).collect(),
            builtins,
            signatures,
        })
    }

    /// The text that equal signatures share: types by class index.
    fn signature_text(&self, resolved: &Resolved, signature: &Signature) -> String {
        let list = |types: &[ValueType]| {
            let mut text = String::from("(");
            for value in types {
                text += &match value {
                    ValueType::I32 => String::from("i32,"),
                    ValueType::I64 => String::from("i64,"),
                    ValueType::F32 => String::from("f32,"),
                    ValueType::F64 => String::from("f64,"),
                    ValueType::Reference { class, nullable } => {
                        let index = resolved.class(*class).map_or(0, |class| self.class(class).1);
                        format!("#{index}{},", if *nullable { "?" } else { "" })
                    }
                };
            }
            text + ")"
        };
        list(&signature.parameters) + &list(&signature.results)
    }

    fn fill_function(
        &mut self,
        unit: &Unit<'_>,
        links: &Links,
        (object, index): (ObjectAddress, usize),
        function: &FunctionDefinition,
        module: ObjectAddress,
    ) -> Result<(), LoadError> {
        let refused = || unit.refuse(&format!("function {}: does not link", function.name));
        let code = links.code(function).ok_or_else(refused)?;
        let handlers = links.handlers(function).ok_or_else(refused)?;
        let lines = Links::lines(function);
        let signature = unit.module.signature(function.signature).ok_or_else(refused)?;
        let interned = links.signatures.get(function.signature as usize).ok_or_else(refused)?;
        let maker = &mut self.maker;
        let code_object = maker.longs(&code)?;
        let (arguments, results) =
            (WindowSize::of(&signature.parameters), WindowSize::of(&signature.results));
        let counts = u64::from(function.reference_registers)
            | u64::from(function.raw_registers) << 16
            | u64::from(arguments.references) << 32
            | u64::from(arguments.raws) << 48;
        let words = code.len() as u64;
        let results = u64::from(results.references) | u64::from(results.raws) << 16 | words << 32;
        maker.word(object, FUNCTION_CODE, code_object.0 + PAYLOAD);
        maker.word(object, FUNCTION_COUNTS, counts);
        maker.word(object, FUNCTION_RESULTS, results);
        maker.word(object, FUNCTION_INDEX, index as u64);
        let name = maker.text(&function.name)?;
        maker.refer(object, FUNCTION_MODULE, module);
        maker.refer(object, FUNCTION_CODE_OBJECT, code_object);
        maker.refer(object, FUNCTION_NAME, name);
        maker.refer(object, FUNCTION_SIGNATURE, *interned);
        for (offset, table) in [(FUNCTION_HANDLERS, handlers), (FUNCTION_LINES, lines)] {
            if !table.is_empty() {
                let table = maker.longs(&table)?;
                maker.refer(object, offset, table);
            }
        }
        Ok(())
    }

    /// The table of exports: pairs of name and object by increasing name.
    fn exports(&mut self, unit: &Unit<'_>, links: &Links) -> Result<ObjectAddress, LoadError> {
        let mut exports: Vec<_> = unit.module.exports.iter().collect();
        exports.sort_by(|a, b| a.name.cmp(&b.name));
        let mut pairs = Vec::new();
        for export in exports {
            let object = match export.item {
                ExportItem::Function(index) => links.functions.get(index as usize).copied(),
                ExportItem::Class(class) => links.class(class.0).map(|(class, _)| class),
            };
            pairs.push(self.maker.text(&export.name)?);
            pairs.push(object.unwrap_or(ObjectAddress(0)));
        }
        Ok(self.maker.objects(&pairs)?)
    }

    /// Fills the new class objects and enters them in the class table.
    fn fill_classes(&mut self) -> Result<(), LoadError> {
        for id in &self.plans.order {
            let is_new = self.units.list.get(id.unit).is_some_and(|unit| unit.loaded().is_none());
            if let (true, Some(plan)) = (is_new, self.plans.by_definition.get(id)) {
                self.fill_class(*id, plan)?;
            }
        }
        Ok(())
    }

    fn fill_class(&mut self, id: DefinitionId, plan: &ClassPlan) -> Result<(), LoadError> {
        let (object, index) = self.class(ClassId::Defined(id));
        let (superclass, _) = self.class(plan.superclass);
        let module = self.modules.get(id.unit).copied().unwrap_or(ObjectAddress(0));
        let mut interfaces = Vec::new();
        for (interface, places) in &plan.interfaces {
            let methods: Vec<_> = places
                .iter()
                .map(|place| plan.methods.get(*place as usize).copied().flatten())
                .map(|method| method.map_or(ObjectAddress(0), |method| self.function(method)))
                .collect();
            interfaces.push(self.class(*interface).0);
            interfaces.push(self.maker.objects(&methods)?);
        }
        let display = self.display(id, plan);
        let spec = ClassSpec::of_plan(plan, index, superclass, module, display);
        fill_class(&mut self.maker, object, &spec)?;
        if !interfaces.is_empty() {
            let table = self.maker.objects(&interfaces)?;
            self.maker.refer(object, crate::memory::layout::class::INTERFACES, table);
        }
        for (place, method) in plan.methods.iter().enumerate() {
            if let Some(method) = method {
                self.maker.refer(object, VTABLE + place as u64 * 8, self.function(*method));
            }
        }
        Ok(())
    }

    /// Class indices from the topmost class down to this one, as many as a display holds.
    fn display(&self, id: DefinitionId, plan: &ClassPlan) -> Vec<u32> {
        let mut indices = alloc::vec![self.class(ClassId::Defined(id)).1];
        let mut next = plan.superclass;
        loop {
            indices.push(self.class(next).1);
            next = match next {
                ClassId::Builtin(Builtin::Object) => break,
                ClassId::Builtin(builtin) => ClassId::Builtin(builtin.superclass()),
                ClassId::Defined(upper) => match self.plans.by_definition.get(&upper) {
                    Some(plan) => plan.superclass,
                    None => break,
                },
            };
        }
        indices.reverse();
        indices
    }

    /// The namespace's new table, to be stored after everything else.
    fn name_modules(&mut self, namespace: ObjectAddress) -> Result<(), LoadError> {
        let space = self.maker.space;
        let mut names = BTreeMap::new();
        for pair in elements_of(space, slot_of(space, namespace, NAMESPACE_MODULES)).chunks_exact(2)
        {
            if let [name, module] = pair {
                names.insert(text_of(space, *name), (*name, *module));
            }
        }
        let before = names.len();
        for (unit, instance) in self.units.list.iter().zip(&self.modules) {
            if unit.loaded().is_none() {
                let name = self.maker.text(&unit.module.name)?;
                names.insert(unit.module.name.clone(), (name, *instance));
            }
        }
        if names.len() > before {
            let pairs: Vec<_> =
                names.values().flat_map(|(name, module)| [*name, *module]).collect();
            let table = self.maker.objects(&pairs)?;
            self.maker.refer(namespace, NAMESPACE_MODULES, table);
        }
        Ok(())
    }
}

/// The interned signatures: one object for each text, in the whole object space.
struct Signatures {
    by_text: BTreeMap<String, ObjectAddress>,
    /// Those made by this load, with their texts.
    new: Vec<(ObjectAddress, ObjectAddress)>,
}

impl Signatures {
    fn read(space: Space) -> Self {
        let table = slot_of(space, ROOT, ROOT_SIGNATURES);
        let by_text = elements_of(space, table)
            .into_iter()
            .map(|signature| (text_of(space, slot_of(space, signature, SIGNATURE_TEXT)), signature))
            .collect();
        Self { by_text, new: Vec::new() }
    }

    fn intern(&mut self, maker: &Maker, text: String) -> Result<ObjectAddress, AllocationError> {
        if let Some(known) = self.by_text.get(&text) {
            return Ok(*known);
        }
        let signature = maker.plain(Builtin::Signature, SIGNATURE_SIZE)?;
        self.new.push((signature, maker.text(&text)?));
        self.by_text.insert(text, signature);
        Ok(signature)
    }

    /// Will replace the root's table.
    fn publish(&mut self, maker: &mut Maker) -> Result<(), AllocationError> {
        if self.new.is_empty() {
            return Ok(());
        }
        for (signature, text) in self.new.drain(..) {
            maker.refer(signature, SIGNATURE_TEXT, text);
        }
        let all: Vec<_> = self.by_text.values().copied().collect();
        let table = maker.objects(&all)?;
        maker.refer(ROOT, ROOT_SIGNATURES, table);
        Ok(())
    }
}
