//! What there is to see, by name: colours, shapes in space and on paper, substances, and everything with a class number.

use serde::{Deserialize, Serialize};

use crate::maths::V3;

macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($variant:ident $text:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As questions say it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

named! {
    /// Colours that nobody confuses under the lamps of this world.
    Colour {
        Red "red", Orange "orange", Yellow "yellow", Green "green", Cyan "cyan", Blue "blue", Purple "purple",
        Pink "pink", White "white", Black "black",
    }
}

impl Colour {
    /// Reflected light, linear, 0 to 1.
    pub fn albedo(self) -> V3 {
        match self {
            Self::Red => V3(0.70, 0.03, 0.03),
            Self::Orange => V3(0.90, 0.26, 0.01),
            Self::Yellow => V3(0.88, 0.68, 0.03),
            Self::Green => V3(0.04, 0.34, 0.05),
            Self::Cyan => V3(0.05, 0.60, 0.66),
            Self::Blue => V3(0.03, 0.10, 0.62),
            Self::Purple => V3(0.24, 0.04, 0.46),
            Self::Pink => V3(0.86, 0.24, 0.46),
            Self::White => V3(0.86, 0.86, 0.84),
            Self::Black => V3(0.012, 0.012, 0.014),
        }
    }
}

named! {
    /// Bodies in space.
    Solid {
        Sphere "sphere", Cube "cube", Cylinder "cylinder", Cone "cone", Ring "ring", Pyramid "pyramid", Prism "prism",
        Capsule "capsule", Sign "sign",
    }
}

impl Solid {
    /// Those that questions count and compare: all but the sign, which is there to be read.
    pub const THINGS: &[Self] = &[
        Self::Sphere,
        Self::Cube,
        Self::Cylinder,
        Self::Cone,
        Self::Ring,
        Self::Pyramid,
        Self::Prism,
        Self::Capsule,
    ];
}

named! {
    /// Figures on paper.
    Figure {
        Circle "circle", Square "square", Triangle "triangle", Star "star", Cross "cross", Heart "heart",
        Diamond "diamond", Hexagon "hexagon", Ring "ring", Crescent "crescent",
    }
}

named! {
    /// What a body is made of.
    Material { Matte "matte", Shiny "shiny", Metal "metal" }
}

named! {
    /// What is on its surface, in shades of its colour.
    Pattern { Plain "plain", Striped "striped", Checked "checked" }
}

named! {
    /// One of two sizes, far apart.
    Size { Small "small", Large "large" }
}

named! {
    /// Everything that a segmentation names. The number of a class is its place here plus one; zero is nothing.
    Class {
        Sphere "sphere", Cube "cube", Cylinder "cylinder", Cone "cone", Ring "ring", Pyramid "pyramid", Prism "prism",
        Capsule "capsule", Sign "sign", Circle "circle", Square "square", Triangle "triangle", Star "star",
        Cross "cross", Heart "heart", Diamond "diamond", Hexagon "hexagon", Crescent "crescent", Word "word",
        Number "number", Bar "bar", Point "point", Slice "slice", Floor "floor", Wall "wall", Sky "sky", Paper "paper",
    }
}

impl Class {
    /// Its number, from 1.
    pub fn id(self) -> u32 {
        self as u32 + 1
    }

    /// Whether it is a thing that can be counted, and no ground.
    pub fn thing(self) -> bool {
        !matches!(self, Self::Floor | Self::Wall | Self::Sky | Self::Paper)
    }

    /// More than one of it.
    pub fn plural(self) -> String {
        plural(self.word())
    }
}

/// More than one of what the word names.
pub fn plural(word: &str) -> String {
    if word.ends_with('s') { format!("{word}es") } else { format!("{word}s") }
}

/// The word with its article.
pub fn article(phrase: &str) -> String {
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}

impl From<Solid> for Class {
    fn from(solid: Solid) -> Self {
        match solid {
            Solid::Sphere => Self::Sphere,
            Solid::Cube => Self::Cube,
            Solid::Cylinder => Self::Cylinder,
            Solid::Cone => Self::Cone,
            Solid::Ring => Self::Ring,
            Solid::Pyramid => Self::Pyramid,
            Solid::Prism => Self::Prism,
            Solid::Capsule => Self::Capsule,
            Solid::Sign => Self::Sign,
        }
    }
}

impl From<Figure> for Class {
    fn from(figure: Figure) -> Self {
        match figure {
            Figure::Circle => Self::Circle,
            Figure::Square => Self::Square,
            Figure::Triangle => Self::Triangle,
            Figure::Star => Self::Star,
            Figure::Cross => Self::Cross,
            Figure::Heart => Self::Heart,
            Figure::Diamond => Self::Diamond,
            Figure::Hexagon => Self::Hexagon,
            Figure::Ring => Self::Ring,
            Figure::Crescent => Self::Crescent,
        }
    }
}

named! {
    /// Typefaces, by what they look like.
    Typeface { Sans "sans", Bold "bold", Serif "serif", Mono "mono", Slab "slab", Marker "marker", Hand "hand" }
}

/// Words that are printed: short, plain, none a part of another's look-alike, none a name of a colour or shape here.
pub const LEXICON: &[&str] = &[
    "able", "acid", "actor", "alarm", "album", "amber", "angel", "ankle", "apple", "apron", "arena", "arrow",
    "aunt", "award", "bacon", "badge", "baker", "banjo", "basil", "beach", "beard", "bench", "berry", "bike",
    "bird", "blade", "bloom", "board", "boat", "bolt", "bonus", "book", "boot", "brain", "bread", "brick",
    "broom", "brush", "bucket", "cabin", "cable", "camel", "camp", "candle", "canoe", "cargo", "carpet",
    "cave", "cedar", "chain", "chalk", "cheese", "cherry", "chess", "clock", "cloud", "clover", "coach",
    "coffee", "coral", "corn", "cotton", "crane", "cream", "crown", "dance", "dawn", "delta", "desk",
    "dinner", "dollar", "dragon", "dream", "drum", "duck", "eagle", "earth", "elbow", "engine", "farm",
    "feast", "fence", "ferry", "field", "flame", "flood", "flour", "flute", "forest", "fork", "fossil",
    "fox", "frame", "frog", "fruit", "garden", "garlic", "ghost", "giant", "ginger", "glass", "globe",
    "glove", "goat", "gold", "grape", "grass", "guitar", "hammer", "harbor", "hat", "hawk", "hedge", "hello",
    "hockey", "honey", "horse", "hotel", "house", "ice", "igloo", "island", "ivory", "jacket", "jam",
    "jelly", "jewel", "jungle", "kettle", "key", "king", "kite", "knife", "koala", "ladder", "lamp", "lemon",
    "letter", "light", "lion", "lizard", "lunch", "magic", "mango", "maple", "market", "marsh", "meadow",
    "melon", "metro", "milk", "mint", "mirror", "moon", "motor", "mouse", "museum", "music", "needle",
    "nest", "night", "north", "ocean", "olive", "onion", "opera", "otter", "oven", "owl", "paint", "palace",
    "palm", "panda", "paper", "parrot", "peach", "pearl", "pencil", "pepper", "piano", "pilot", "pine",
    "pizza", "planet", "plum", "pocket", "poem", "pond", "pony", "poster", "potato", "prize", "pump",
    "puzzle", "queen", "quilt", "rabbit", "radio", "rain", "ranch", "ribbon", "rice", "river", "robin",
    "robot", "rocket", "rope", "rose", "saddle", "salad", "salt", "sand", "school", "shark", "shelf", "ship",
    "silk", "silver", "sister", "sky", "sled", "snail", "snow", "soap", "sofa", "soup", "spice", "spoon",
    "squid", "stamp", "stone", "storm", "sugar", "summer", "swan", "table", "taxi", "tea", "tent", "thumb",
    "tiger", "toast", "tomato", "torch", "tower", "train", "truck", "tulip", "tunnel", "turtle", "uncle",
    "valley", "velvet", "violin", "wagon", "walnut", "water", "wave", "whale", "wheel", "window", "winter",
    "wolf", "wood", "yacht", "zebra", "zoo",
];
