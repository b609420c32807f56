"""Other phrases for each scene, for evaluation only: training never uses them."""

PARAPHRASES: dict[str, tuple[str, ...]] = {
    "beach_at_sunset": ("sunset on the beach", "the sun sinking into the sea"),
    "tropical_beach": ("a palm beach in summer", "white sand and turquoise lagoon"),
    "sailing_boats": ("a sailboat with white sails", "yachts on the blue lake"),
    "snowy_mountains": ("snow in the alpine mountains", "winter peaks"),
    "waterfall": ("a cascade down a cliff", "rocks and falling water"),
    "desert_dunes": ("dunes of the Sahara", "a caravan of camels"),
    "forest": ("walking between tall trees in the woods", "green woodland"),
    "autumn_park": ("fall leaves in the park", "golden trees in autumn"),
    "sunflower_field": ("yellow sunflowers in a field", "rows of yellow flowers"),
    "city_at_night": ("skyscrapers with city lights", "downtown skyline after dark"),
    "old_town": ("colourful facades in the historic centre", "houses along the canal"),
    "hot_air_balloons": ("hot air balloon festival", "balloon ride over a valley"),
    "fireworks": ("firework sparks on new year's eve", "a display of fireworks over water"),
    "concert": ("a rock band playing live on stage", "crowd at a music festival"),
    "campsite": ("camping in a tent", "tent and campfire under the milky way"),
    "birthday_table": ("a cake with candles", "birthday balloons and presents"),
    "christmas_tree": ("a tree decorated for christmas", "baubles and fairy lights in the living room"),
    "cat": ("a kitten", "our pet cat on the sofa"),
}
