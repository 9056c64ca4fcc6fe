"""What people read of a plan: as a drawing, as data, as a picture, and what a change does."""
