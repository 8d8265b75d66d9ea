//! Bodies in space. Metres; x to the right, y away from the camera, z up; the floor is at z = 0.

use serde::{Deserialize, Serialize};

use super::words::{Colour, Material, Pattern, Size, Solid};
use super::{Printed, Texture};
use crate::maths::{Turn, V3, rounded};

/// Where the camera stands and looks. No lens distortion; pixels are square and the optical axis meets the centre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Where it stands.
    pub eye: V3,
    /// What is in the middle of the picture.
    pub target: V3,
    /// Focal length in units of the longer side.
    pub focal: f64,
}

/// The sun, or a lamp far away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lamp {
    /// Direction to it, of length 1.
    pub toward: V3,
    /// What it adds to a surface that faces it, per colour.
    pub light: V3,
    /// What comes from everywhere, per colour.
    pub ambient: V3,
}

/// What is behind everything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Back {
    /// The sky, from the horizon up.
    Sky {
        /// At the horizon.
        low: V3,
        /// Above.
        high: V3,
    },
    /// A wall across the view.
    Wall {
        /// Where it stands.
        y: f64,
        /// What it is made of.
        texture: Texture,
    },
}

/// A body that stands or lies on the floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its shape.
    pub solid: Solid,
    /// Its colour by name.
    pub colour: Colour,
    /// Its colour exactly: reflected light, linear.
    pub tint: V3,
    /// What it is made of.
    pub material: Material,
    /// What is on its surface.
    pub pattern: Pattern,
    /// Its size by name.
    pub size: Size,
    /// Half its size: of a sphere, its radius.
    pub radius: f64,
    /// Where it touches the floor: x and y of its centre.
    pub place: (f64, f64),
    /// Its direction, in radians.
    pub yaw: f64,
    /// Whether its axis is horizontal.
    pub lying: bool,
    /// What is printed on its front: signs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printed: Option<Printed>,
}

impl Object {
    /// Half its extent along its own axes.
    pub fn half(&self) -> V3 {
        let r = self.radius;
        match self.solid {
            Solid::Sphere => V3(r, r, r),
            Solid::Cube => V3(0.82 * r, 0.82 * r, 0.82 * r),
            Solid::Cylinder => V3(0.66 * r, 0.66 * r, 0.92 * r),
            Solid::Cone => V3(0.85 * r, 0.85 * r, r),
            Solid::Ring => V3(1.05 * r, 1.05 * r, 0.32 * r),
            Solid::Pyramid => V3(0.9 * r, 0.9 * r, 0.85 * r),
            Solid::Prism => V3(0.8 * r, r, 0.69 * r),
            Solid::Capsule => V3(0.48 * r, 0.48 * r, 1.15 * r),
            Solid::Sign => V3(1.5 * r, 0.08 * r, 0.75 * r),
        }
    }

    /// From the room into its own frame.
    pub fn turn(&self) -> Turn {
        Turn::of(self.yaw, self.lying)
    }

    /// Its centre.
    pub fn centre(&self) -> V3 {
        let half = self.half();
        V3(self.place.0, self.place.1, if self.lying { half.0 } else { half.2 })
    }

    /// Radius of the ball about its centre that holds it.
    pub fn bound(&self) -> f64 {
        let half = self.half();
        match self.solid {
            Solid::Sphere => half.0,
            Solid::Ring => half.0 + 1e-6,
            Solid::Capsule => half.2,
            Solid::Cylinder | Solid::Cone => (half.0 * half.0 + half.2 * half.2).sqrt(),
            _ => half.norm(),
        }
    }

    /// How far it reaches over the floor from its centre.
    pub fn reach(&self) -> f64 {
        let half = self.half();
        match self.solid {
            Solid::Sphere | Solid::Ring => half.0,
            Solid::Cylinder | Solid::Cone if !self.lying => half.0,
            Solid::Capsule if !self.lying => half.0,
            _ if self.lying => (half.1 * half.1 + half.2 * half.2).sqrt(),
            _ => (half.0 * half.0 + half.1 * half.1).sqrt(),
        }
    }

    /// The corners of the box about it, in the room, in the order of Omni3D's boxes: seen along the third axis, 0 to 3 in the
    /// front and 4 to 7 behind, each from the upper left in the direction of the clock.
    pub fn corners(&self) -> [V3; 8] {
        let (half, turn, centre) = (self.half(), self.turn(), self.centre());
        // The box's axes are (right, down, away); its own are (x, away, up).
        let corner =
            |x: f64, down: f64, away: f64| centre + turn.back(V3(x * half.0, away * half.1, -down * half.2));
        [
            corner(-1.0, -1.0, -1.0),
            corner(1.0, -1.0, -1.0),
            corner(1.0, 1.0, -1.0),
            corner(-1.0, 1.0, -1.0),
            corner(-1.0, -1.0, 1.0),
            corner(1.0, -1.0, 1.0),
            corner(1.0, 1.0, 1.0),
            corner(-1.0, 1.0, 1.0),
        ]
    }
}

/// Bodies in space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// Who looks.
    pub camera: Camera,
    /// What gives light.
    pub lamp: Lamp,
    /// The floor.
    pub floor: Texture,
    /// What is behind.
    pub back: Back,
    /// What stands there.
    pub objects: Vec<Object>,
}

impl Camera {
    /// Into the frame of the camera: x to the right, y down, z along the optical axis.
    pub fn turn(&self) -> Turn {
        let away = (self.target - self.eye).unit();
        let right = away.cross(V3(0.0, 0.0, 1.0)).unit();
        Turn([right, away.cross(right), away])
    }

    /// A point of the room in the camera's frame.
    pub fn sees(&self, point: V3) -> V3 {
        self.turn().apply(point - self.eye)
    }

    /// Focal length and centre in pixels, for a picture of that size.
    pub fn intrinsics(&self, (width, height): (usize, usize)) -> [[f64; 3]; 3] {
        let focal = rounded(self.focal * width.max(height) as f64, 4);
        [[focal, 0.0, width as f64 / 2.0], [0.0, focal, height as f64 / 2.0], [0.0, 0.0, 1.0]]
    }
}
