"""Pictures of what was found, drawn on the photo's own pixels."""
